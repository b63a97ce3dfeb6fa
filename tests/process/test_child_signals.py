"""Signals reach the command of exec once, wherever they were sent; see test_child.py for the rest of Child."""

from __future__ import annotations

import os
import pty
import signal
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import pytest
from children.processes import (
    COUNT_SIGNALS,
    DEADLINE_SECONDS,
    JOB_CONTROL,
    ON_TERMINAL,
    WRAPPER,
    finish,
    is_stopped,
    next_line,
    python,
    run,
    started,
    wait_for_continuation,
    wait_for_stop,
)
from platforms import on_linux

from csm_otel.process.child import Child

if TYPE_CHECKING:
    from collections.abc import Generator
    from subprocess import Popen

WAYS = [
    pytest.param({}, id="sigwaitinfo"),
    pytest.param({"WITHOUT_SIGWAITINFO": "1"}, id="sigwait"),
]
with_each_way = pytest.mark.parametrize("way", WAYS)
NUMBERS = [
    pytest.param(number, id=number.name) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
]
with_each_signal = pytest.mark.parametrize("number", NUMBERS)
STOPPING = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
ALL = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, *STOPPING})
"""All that a command can count, real-time signals included."""


def fence(number: int) -> signal.Signals:
    """Return another signal: once it has arrived, a repetition of the first would have arrived, too."""
    return signal.SIGTERM if number != signal.SIGTERM else signal.SIGHUP


@contextmanager
def on_terminal(command: list[str], *, extra: dict[str, str]) -> Generator[tuple[Popen[bytes], IO[bytes]]]:
    """Start a command as the leader of a session with a terminal, which is on its stderr; yield the other end, too."""
    master, slave = pty.openpty()
    with open(master, "r+b", buffering=0) as terminal:  # ruff: ignore[builtin-open]
        try:
            starting = started([*ON_TERMINAL, *command], extra=extra, stderr=slave)
            with starting as process:
                yield process, terminal
        finally:
            os.close(slave)


# Signals from kill() to the wrapper are forwarded.


@with_each_way
@with_each_signal
def test_kill_is_forwarded_once(number: signal.Signals, way: dict[str, str]) -> None:
    """The command gets each signal exactly once, and the wrapper continues."""
    with started([*WRAPPER, *COUNT_SIGNALS], extra=way) as process:
        assert next_line(process.stdout) == "ready"
        process.send_signal(number)
        assert next_line(process.stdout) == number.name
        process.send_signal(fence(number))
        assert next_line(process.stdout) == fence(number).name
        assert finish(process) == {number.name: 1, fence(number).name: 1}


@with_each_way
@with_each_signal
def test_kill_ends_the_command(number: signal.Signals, way: dict[str, str]) -> None:
    """A command that does not catch the signal ends by it, and the wrapper exits with 128 + n."""
    with started([*WRAPPER, "sh", "-c", "echo ready; exec sleep 90"], extra=way) as process:
        assert next_line(process.stdout) == "ready"
        process.send_signal(number)
        assert process.wait(DEADLINE_SECONDS) == 128 + number


@with_each_way
def test_every_signal_is_forwarded(way: dict[str, str]) -> None:
    """A signal without a meaning for the wrapper reaches the command all the same, once, and ends nothing."""
    with started([*WRAPPER, *COUNT_SIGNALS, *map(str, map(int, ALL))], extra=way) as process:
        assert next_line(process.stdout) == "ready"
        names = []
        for number in ALL:
            process.send_signal(number)
            names.append(next_line(process.stdout))
        assert finish(process) == dict.fromkeys(names, 1)
    assert [getattr(number, "name", str(number)) for number in ALL] == names


@on_linux
def test_alarm_that_was_set_for_the_command() -> None:
    """The alarm of whoever started the wrapper, a time limit, ends the command; timers of processor time do not."""
    program = """if True:
        import os, signal, time
        from csm_otel.process.child import Child
        child = Child.start(["sleep", "90"], os.environ)
        for timer in (signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
            signal.setitimer(timer, 0.001)
        start = time.process_time()
        while time.process_time() < start + 0.1:
            sum(range(1000))
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        print(child.wait())
    """
    assert run(python(program)).stdout == b"142\n"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_kill_around_the_start(moment: str) -> None:
    """A signal just before the command is started, or before it is handled, is forwarded."""
    program = f"""if True:
        import os, signal
        from csm_otel.process.child import Child
        posix_spawn = os.posix_spawn
        def spawn(*arguments, **options):
            if "{moment}" == "before":
                os.kill(os.getpid(), signal.SIGTERM)
            pid = posix_spawn(*arguments, **options)
            if "{moment}" == "after":
                os.kill(os.getpid(), signal.SIGTERM)
            return pid
        os.posix_spawn = spawn
        print(Child.start(["sleep", "90"], os.environ).wait())
    """
    assert run(python(program)).stdout == b"143\n"


@with_each_way
def test_ignored_at_the_start(way: dict[str, str]) -> None:
    """A hang-up under nohup stays ignored: it is not forwarded even to a command that would catch it."""
    shell = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"]
    with started([*shell, *WRAPPER, *COUNT_SIGNALS], extra=way) as process:
        assert next_line(process.stdout) == "ready"
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert next_line(process.stdout) == "SIGTERM"
        assert finish(process) == {"SIGTERM": 1}


def test_kill_that_is_refused() -> None:
    """A command that may not be signalled, because it changed its user, is still waited for."""
    program = """if True:
        import os
        from csm_otel.process.child import Child
        def kill(pid, number):
            print("refused", flush=True)
            raise PermissionError
        os.kill = kill
        print(Child.start(["sh", "-c", "echo ready; read line; exit 2"], os.environ).wait())
    """
    with started(python(program)) as process:
        assert next_line(process.stdout) == "ready"
        process.terminate()
        assert next_line(process.stdout) == "refused"
        assert process.communicate(b"\n", timeout=DEADLINE_SECONDS)[0] == b"2\n"


# Signals from the terminal to the whole group are not forwarded.


@with_each_way
@pytest.mark.parametrize(
    ("key", "name"),
    [pytest.param(b"\x03", "SIGINT", id="Ctrl-C"), pytest.param(b"\x1c", "SIGQUIT", id="Ctrl-backslash")],
)
def test_key_is_not_forwarded(key: bytes, name: str, way: dict[str, str]) -> None:
    """The command receives a key's signal once; signals to the wrapper alone are still forwarded."""
    with on_terminal([*WRAPPER, *COUNT_SIGNALS], extra=way) as (process, terminal):
        assert next_line(process.stdout) == "ready"
        # The wrapper handles it late, so that a repetition could not merge with the command's own.
        process.send_signal(signal.SIGSTOP)
        wait_for_stop(process)
        terminal.write(key)
        assert next_line(process.stdout) == name
        process.send_signal(signal.SIGCONT)
        process.terminate()
        assert next_line(process.stdout) == "SIGTERM"
        assert finish(process) == {name: 1, "SIGTERM": 1}


@on_linux
def test_kill_in_the_foreground() -> None:
    """An interrupt that kill() sends to the wrapper alone is forwarded in the foreground of a terminal, too."""
    with on_terminal([*WRAPPER, *COUNT_SIGNALS], extra={}) as (process, _):
        assert next_line(process.stdout) == "ready"
        process.send_signal(signal.SIGINT)
        assert next_line(process.stdout) == "SIGINT"
        assert finish(process) == {"SIGINT": 1}


@with_each_way
@pytest.mark.skipif(sys.platform != "linux", reason="who gets a hang-up is different elsewhere")
def test_hang_up(way: dict[str, str]) -> None:
    """The hang-up of a terminal, which only the leader of the session gets, reaches the command once."""
    with on_terminal([*WRAPPER, *COUNT_SIGNALS], extra=way) as (process, terminal):
        assert next_line(process.stdout) == "ready"
        terminal.close()
        assert next_line(process.stdout) == "SIGHUP"
        process.terminate()
        assert next_line(process.stdout) == "SIGTERM"
        assert finish(process) == {"SIGHUP": 1, "SIGTERM": 1}


def test_stop_and_continue() -> None:
    """Job control stops and continues the wrapper together with the command."""
    with started([*WRAPPER, *COUNT_SIGNALS], session=False) as process:
        assert next_line(process.stdout) == "ready"
        os.killpg(process.pid, signal.SIGTSTP)
        wait_for_stop(process)
        os.killpg(process.pid, signal.SIGCONT)
        wait_for_continuation(process)
        assert finish(process) == {}


@pytest.mark.parametrize("number", STOPPING)
def test_stop_by_kill(number: signal.Signals) -> None:
    """A stop signal to the wrapper alone stops the command and then the wrapper; to continue it continues both."""
    with started([*WRAPPER, *COUNT_SIGNALS, str(int(number))], session=False) as process:
        assert next_line(process.stdout) == "ready"
        for _ in range(2):
            process.send_signal(number)
            assert next_line(process.stdout) == number.name
            wait_for_stop(process)
            process.send_signal(signal.SIGCONT)
            wait_for_continuation(process)
            assert next_line(process.stdout) == "continued"
        assert finish(process) == {number.name: 2}


@with_each_way
def test_key_that_stops(way: dict[str, str]) -> None:
    """Ctrl-Z reaches the command once, the shell sees its job stop, and `fg` continues both."""
    job = [*JOB_CONTROL, *WRAPPER, *COUNT_SIGNALS, str(int(signal.SIGTSTP)), str(int(signal.SIGIO))]
    with on_terminal(job, extra=way) as (process, terminal):
        assert next_line(process.stdout) == "ready"
        for _ in range(2):
            terminal.write(b"\x1a")
            assert [next_line(process.stdout) for _ in range(2)] == ["SIGTSTP", "stopped SIGTSTP"]
            assert process.stdin is not None
            process.stdin.write(b"\n")
            process.stdin.flush()
            # A key that comes before the wrapper accepts signals again may stop it before the command has stopped.
            assert {next_line(process.stdout) for _ in range(2)} == {"continued", "SIGIO"}
        assert finish(process) == {"SIGTSTP": 2, "SIGIO": 2}


def test_continuation_that_a_stop_cancels() -> None:
    """Ctrl-Z just after `fg` stops both: CONT is not forwarded to a command that has stopped since."""
    program = """if True:
        import os, signal, sys, threading
        from csm_otel.process import child
        accept = child._accept
        has_started = threading.Event()

        def accept_slowly(blocked):
            number, is_to_forward = accept(blocked)
            if number == signal.SIGUSR1:
                has_started.wait()
                for pid in (os.getpid(), running.pid):
                    os.kill(pid, signal.SIGTSTP)
                os.waitid(os.P_PID, running.pid, os.WSTOPPED | os.WNOWAIT)
                return signal.SIGCONT, True
            return number, is_to_forward and number != signal.SIGTSTP

        child._accept = accept_slowly
        command = ["sh", "-c", "trap 'echo continued' CONT; echo ready; read line || read line"]
        running = child.Child.start(command, os.environ)
        has_started.set()
        sys.exit(running.wait())
    """
    with started(python(program), session=False) as process:
        assert next_line(process.stdout) == "ready"
        process.send_signal(signal.SIGUSR1)
        wait_for_stop(process)
        process.send_signal(signal.SIGCONT)
        assert process.communicate(b"\n", timeout=DEADLINE_SECONDS)[0] == b"continued\n"


def test_stop_that_the_command_ignores() -> None:
    """A command that does not stop is not left alone by a wrapper that does."""
    shell = ["sh", "-c", "trap 'echo usr1' USR1; trap '' TSTP; echo ready; read line || read line"]
    with started([*WRAPPER, *shell], session=False) as process:
        assert next_line(process.stdout) == "ready"
        process.send_signal(signal.SIGTSTP)
        process.send_signal(signal.SIGUSR1)
        assert next_line(process.stdout) == "usr1"
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_SECONDS) == 143


def test_pause_of_the_command_alone() -> None:
    """A command that is stopped by its own pid does not stop the wrapper, which could not be continued by that pid."""
    command = [*WRAPPER, *COUNT_SIGNALS]
    with started(command, extra={"WRAPPER_STEPS": "1"}, session=False) as process:
        pid = int(next_line(process.stderr).removeprefix("started "))
        assert next_line(process.stdout) == "ready"
        os.kill(pid, signal.SIGSTOP)
        process.terminate()
        os.kill(pid, signal.SIGCONT)
        assert next_line(process.stdout) == "SIGTERM"
        assert not is_stopped(process)


def test_continue_that_comes_before_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wrapper does not stop if it is to continue already: to stop would discard that."""
    stops: list[int] = []
    monkeypatch.setattr("csm_otel.process.child._stop", stops.append)
    child = Child()
    for pending in (set[int](), {signal.SIGCONT}):
        monkeypatch.setattr(signal, "sigpending", lambda pending=pending: pending)
        child._stopped_by, child._is_to_stop = signal.SIGTSTP, True
        child._stop_as_well()
        assert (child._stopped_by, child._is_to_stop) == (0, False)
    assert stops == [signal.SIGTSTP]


# After the end of the command a signal is for the wrapper itself.


@with_each_way
@with_each_signal
def test_interrupted_after_the_end(number: signal.Signals, way: dict[str, str]) -> None:
    """The first signal after the end sets `interrupted`; it neither ends the wrapper nor changes the exit code."""
    with started([*WRAPPER, "sh", "-c", "exit 3"], extra={**way, "WRAPPER_STEPS": "1"}) as process:
        assert next_line(process.stderr).startswith("started ")
        assert next_line(process.stderr) == "ended 3 False"
        process.send_signal(number)
        assert next_line(process.stderr) == "interrupted True"
        assert process.wait(DEADLINE_SECONDS) == 3


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (signal.SIGUSR1, True),
        (signal.SIGALRM, True),
        (signal.SIGRTMIN + 1, True),
        (signal.SIGXCPU, True),
        (signal.SIGWINCH, False),
        (signal.SIGCONT, False),
        (signal.SIGURG, False),
    ],
)
def test_which_signals_interrupt(number: int, *, expected: bool) -> None:
    """After the end those interrupt that would end a process, and those that are ignored by default do nothing."""
    child = Child()
    child._obey(number)
    assert child.interrupted.is_set() is expected


def test_stopped_after_the_end() -> None:
    """A stop signal after the end stops the wrapper, until it is continued."""
    with started([*WRAPPER, "sh", "-c", "exit 3"], extra={"WRAPPER_STEPS": "1"}, session=False) as process:
        assert next_line(process.stderr).startswith("started ")
        assert next_line(process.stderr) == "ended 3 False"
        process.send_signal(signal.SIGTSTP)
        wait_for_stop(process)
        process.send_signal(signal.SIGCONT)
        wait_for_continuation(process)
        process.terminate()
        assert next_line(process.stderr) == "interrupted True"
        assert process.wait(DEADLINE_SECONDS) == 3


@with_each_way
@with_each_signal
def test_interrupted_twice_after_the_end(number: signal.Signals, way: dict[str, str]) -> None:
    """A second signal ends a wrapper that blocks, with the command's exit code."""
    with started([*WRAPPER, "sh", "-c", "exit 3"], extra={**way, "WRAPPER_STEPS": "2"}) as process:
        assert next_line(process.stderr).startswith("started ")
        assert next_line(process.stderr) == "ended 3 False"
        process.send_signal(fence(number))
        assert next_line(process.stderr) == "interrupted True"
        process.send_signal(number)
        assert process.wait(DEADLINE_SECONDS) == 3


@with_each_way
def test_key_pressed_twice_after_the_end(way: dict[str, str]) -> None:
    """If Ctrl-C ended the command, a third one ends a wrapper that blocks, with 130."""
    command = [*WRAPPER, "sh", "-c", "echo ready; exec sleep 90"]
    with on_terminal(command, extra={**way, "WRAPPER_STEPS": "2"}) as (process, terminal):
        assert next_line(terminal).startswith("started ")
        assert next_line(process.stdout) == "ready"
        terminal.write(b"\x03")
        assert "ended 130 False" in next_line(terminal)
        terminal.write(b"\x03")
        assert "interrupted True" in next_line(terminal)
        terminal.write(b"\x03")
        assert process.wait(DEADLINE_SECONDS) == 130


@with_each_way
def test_key_that_ends_the_command(way: dict[str, str]) -> None:
    """The Ctrl-C that ends the command does not interrupt the rest; a second one does."""
    command = [*WRAPPER, "sh", "-c", "echo ready; exec sleep 90"]
    with on_terminal(command, extra={**way, "WRAPPER_STEPS": "1"}) as (process, terminal):
        assert next_line(terminal).startswith("started ")
        assert next_line(process.stdout) == "ready"
        terminal.write(b"\x03")
        assert "ended 130 False" in next_line(terminal)
        terminal.write(b"\x03")
        assert "interrupted True" in next_line(terminal)
        assert process.wait(DEADLINE_SECONDS) == 130


@with_each_way
def test_kill_together_with_the_end(way: dict[str, str]) -> None:
    """A signal found together with the end counts as sent before it."""
    command = [*WRAPPER, "sh", "-c", "echo ready; exec sleep 90"]
    with started(command, extra={**way, "WRAPPER_STEPS": "1"}) as process:
        pid = int(next_line(process.stderr).removeprefix("started "))
        assert next_line(process.stdout) == "ready"
        process.send_signal(signal.SIGSTOP)
        wait_for_stop(process)
        os.kill(pid, signal.SIGKILL)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        assert next_line(process.stderr) == "ended 137 False"
        process.terminate()
        assert next_line(process.stderr) == "interrupted True"
