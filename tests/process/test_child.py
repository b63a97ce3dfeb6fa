"""The command of exec is found, started with its environment unchanged, and its status passed on.

Real processes: tests/children/wrapper.py runs a command by Child and exits with its code. Signals:
test_child_signals.py; PID 1: test_child_init.py.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from children.processes import WRAPPER, next_line, python, run, started

# The wrapper exits as a shell would.


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param("exit 0", 0, id="success"),
        pytest.param("exit 3", 3, id="status"),
        pytest.param("exit 255", 255, id="highest status"),
        pytest.param("kill -KILL $$", 137, id="SIGKILL"),
        pytest.param("kill -TERM $$", 143, id="SIGTERM"),
        pytest.param("kill -INT $$", 130, id="SIGINT"),
    ],
)
def test_exit_code_is_the_commands(script: str, expected: int) -> None:
    """The status of the command is passed on, a signal as 128 + n."""
    assert expected == run([*WRAPPER, "sh", "-c", script]).returncode


def test_signal_number() -> None:
    """The signal that ended the command is distinguished from a status of the same value."""
    program = """if True:
        import os, sys
        from csm_otel.process.child import Child
        child = Child.start(["sh", "-c", sys.argv[1]], os.environ)
        print(child.wait(), child.poll(), child.exit_code, child.signal_number)
    """
    assert run([*python(program), "kill -TERM $$"]).stdout == b"143 143 143 15\n"
    assert run([*python(program), "exit 143"]).stdout == b"143 143 143 None\n"


# The command is found as by a shell, and one that cannot be run is named in one line.


@pytest.mark.parametrize(
    ("name", "expected", "line"),
    [
        pytest.param("nowhere", 127, "csm-otel: nowhere: command not found", id="not in PATH"),
        pytest.param("./nowhere", 127, "csm-otel: ./nowhere: command not found", id="no such file"),
        pytest.param("./dangling", 127, "csm-otel: ./dangling: command not found", id="dangling link"),
        pytest.param("", 127, "csm-otel: : command not found", id="empty name"),
        pytest.param("two\nlines", 127, "csm-otel: 'two\\nlines': command not found", id="name of two lines"),
        pytest.param("folder", 127, "csm-otel: folder: command not found", id="directory in PATH"),
        pytest.param("./folder", 126, "csm-otel: ./folder: Permission denied", id="directory"),
        pytest.param("./plain", 126, "csm-otel: ./plain: Permission denied", id="not executable"),
        pytest.param("plain", 126, "csm-otel: plain: Permission denied", id="not executable in PATH"),
        pytest.param("./plain/x", 126, "csm-otel: ./plain/x: Not a directory", id="below a file"),
        pytest.param("binary", 126, "csm-otel: binary: Exec format error", id="neither program nor script"),
        pytest.param("orphaned", 127, "csm-otel: orphaned: its interpreter was not found", id="no interpreter"),
    ],
)
def test_lookup_failure(name: str, expected: int, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing command gives 127, one that cannot be executed 126, each with one line."""
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("dangling").symlink_to("nowhere")
    Path("plain").touch(mode=0o644)
    Path("binary").write_bytes(b"\x00\x01\x02")
    Path("orphaned").write_text("#!/nonexistent/interpreter\n", encoding="utf-8")
    for file in ("binary", "orphaned"):
        Path(file).chmod(0o755)
    result = run([*WRAPPER, name], extra={"COMMAND_PATH": f"/nonexistent:{tmp_path}"})
    assert (expected, f"{line}\n") == (result.returncode, result.stderr.decode())


@pytest.mark.parametrize("name", [pytest.param("legacy", id="in PATH"), pytest.param("./legacy", id="by path")])
def test_script_without_interpreter_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script without a #! line runs under /bin/sh, with its path as $0 and its arguments."""
    monkeypatch.chdir(tmp_path)
    Path("legacy").write_text('echo "${0##*/}|$1|$2"; exit 5\n', encoding="utf-8")
    Path("legacy").chmod(0o755)
    result = run([*WRAPPER, name, "a b", "*"], extra={"COMMAND_PATH": str(tmp_path)})
    assert (result.returncode, result.stdout) == (5, b"legacy|a b|*\n")


def test_empty_script(tmp_path: Path) -> None:
    """An empty executable file is an empty script, which succeeds."""
    (tmp_path / "empty").touch(mode=0o755)
    assert run([*WRAPPER, str(tmp_path / "empty")]).returncode == 0


def test_order_of_path(tmp_path: Path) -> None:
    """The first executable in the command's own PATH is run; files before it that are not executable are skipped."""
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "tool").write_text(f"#!/bin/sh\necho {folder} $0\n", encoding="utf-8")
    (tmp_path / "b" / "tool").chmod(0o755)
    (tmp_path / "c" / "tool").chmod(0o755)
    path = ":".join(str(tmp_path / folder) for folder in ("a", "b", "c"))
    result = run([*WRAPPER, "tool"], extra={"COMMAND_PATH": path})
    assert f"b {tmp_path}/b/tool\n" == result.stdout.decode()


def test_empty_entry_of_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty entry of PATH is the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("tool").write_text("#!/bin/sh\nexit 9\n", encoding="utf-8")
    Path("tool").chmod(0o755)
    assert run([*WRAPPER, "tool"], extra={"COMMAND_PATH": ":/nonexistent"}).returncode == 9


def test_without_path() -> None:
    """Without a PATH the system's default is searched."""
    program = """if True:
        from csm_otel.process.child import Child
        raise SystemExit(Child.start(["sh", "-c", "exit 4"], {}).wait())
    """
    assert run(python(program)).returncode == 4


def test_failure_leaves_signals_as_they_were() -> None:
    """After a failed start the signal mask and dispositions are restored."""
    program = """if True:
        import signal
        from csm_otel.process.child import Child
        from csm_otel.errors import CommandNotFoundError
        def state():
            return [signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getsignal(signal.SIGCHLD)]
        before = state()
        try:
            Child.start(["./nowhere"], {})
        except CommandNotFoundError:
            print(state() == before)
    """
    assert run(python(program)).stdout == b"True\n"


# The command does not notice that it is wrapped.


def test_streams() -> None:
    """Standard input, output and error carry the same bytes with and without the wrapper."""
    program = """if True:
        import sys
        data = sys.stdin.buffer.read()
        sys.stdout.buffer.write(data)
        sys.stderr.buffer.write(data[::-1])
        sys.exit(len(data) % 251)
    """
    data = os.urandom(1 << 20)
    plain, wrapped = run(python(program), data=data), run([*WRAPPER, *python(program)], data=data)
    assert (data, data[::-1]) == (plain.stdout, plain.stderr)
    assert (plain.stdout, plain.stderr, plain.returncode) == (wrapped.stdout, wrapped.stderr, wrapped.returncode)


@pytest.mark.parametrize("redirection", ["", "<&-", ">&- 2>&-"], ids=["open", "stdin closed", "outputs closed"])
def test_descriptors(redirection: str, tmp_path: Path) -> None:
    """The command has the descriptors of the wrapper's start, and no other."""
    program = f"""if True:
        import os
        def is_open(fd):
            try:
                return bool(os.fstat(fd))
            except OSError:
                return False
        found = [fd for fd in range(60) if is_open(fd)]
        with open({str(tmp_path / "found")!r}, "w") as file:
            file.write(repr(found))
    """
    found = []
    for wrapper in ([], WRAPPER):
        shell = ["sh", "-c", f'exec "$@" 9</dev/null {redirection}', "sh"]
        assert run([*shell, *wrapper, *python(program)]).returncode == 0
        found.append((tmp_path / "found").read_text(encoding="utf-8"))
    assert found[0] == found[1]
    assert "9" in found[0]


def test_group_and_session() -> None:
    """The command is in the wrapper's process group and session, and is its child."""
    program = "import os; print(os.getpgrp(), os.getsid(0), os.getppid())"
    with started([*WRAPPER, *python(program)]) as process:
        assert [str(process.pid)] * 3 == next_line(process.stdout).split()


@pytest.mark.parametrize(
    ("ignored", "number", "expected"),
    [
        pytest.param("", signal.SIGPIPE, 141, id="SIGPIPE, which Python ignores"),
        pytest.param("", signal.SIGXFSZ, 153, id="SIGXFSZ, which Python ignores"),
        pytest.param("", signal.SIGHUP, 129, id="SIGHUP"),
        pytest.param("", signal.SIGTERM, 143, id="SIGTERM"),
        pytest.param("HUP", signal.SIGHUP, 0, id="SIGHUP under nohup"),
        pytest.param("HUP", signal.SIGTERM, 143, id="SIGTERM under nohup"),
        pytest.param("INT QUIT", signal.SIGINT, 0, id="SIGINT in the background"),
        pytest.param("INT QUIT", signal.SIGQUIT, 0, id="SIGQUIT in the background"),
        pytest.param("USR1", signal.SIGUSR1, 0, id="an ignored signal that is not forwarded"),
    ],
)
def test_dispositions(ignored: str, number: int, expected: int) -> None:
    """Signals ignored at the start are ignored in the command, and all others have their default."""
    shell = ["sh", "-c", f"trap '' {ignored or 'URG'}; exec \"$@\"", "sh"]
    command = ["sh", "-c", f"kill -{int(number)} $$; exit 0"]
    # Through a shell, because Python passes its ignored signals on to a command that it starts without wrapper.
    plain = run([*shell, *command]).returncode
    assert expected == (128 - plain if plain < 0 else plain)
    assert expected == run([*shell, *WRAPPER, *command]).returncode


def test_ignored_sigchld() -> None:
    """A wrapper that was started with SIGCHLD ignored still learns the status."""
    program = """if True:
        import os, signal, sys
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        os.execv(sys.argv[1], sys.argv[1:])
    """
    assert run([*python(program), *WRAPPER, "sh", "-c", "exit 7"]).returncode == 7


@pytest.mark.parametrize("blocked", ["set()", "{signal.SIGUSR1, signal.SIGTERM}"], ids=["empty", "not empty"])
def test_mask(blocked: str) -> None:
    """The command's signal mask is that of the wrapper's start."""
    launcher = f"""if True:
        import os, signal, sys
        signal.pthread_sigmask(signal.SIG_SETMASK, {blocked})
        os.execv(sys.argv[1], sys.argv[1:])
    """
    program = f"import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, []) == {blocked})"
    assert run([*python(launcher), *WRAPPER, *python(program)]).stdout == b"True\n"


# The end of the command is noticed while the wrapper does other work.


def test_descriptor_of_the_end() -> None:
    """The descriptor is readable once the command has ended and not before, and the exit code is there by then."""
    program = """if True:
        import os, select
        from csm_otel.process.child import Child
        child = Child.start(["sh", "-c", "read line; exit 6"], os.environ)
        print(select.select([child], [], [], 0)[0] == [], child.poll(), child.exit_code, child.ended_ns, flush=True)
        print(select.select([child], [], [], 50)[0] == [child], child.poll(), flush=True)
    """
    with started(python(program)) as process:
        assert next_line(process.stdout) == "True None None None"
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert next_line(process.stdout) == "True 6"


def test_times() -> None:
    """Start and end are wall times that enclose the command's own."""
    program = """if True:
        import os, sys, time
        from csm_otel.process.child import Child
        before = time.time_ns()
        child = Child.start(sys.argv[1:], os.environ)
        child.wait()
        print(before, child.started_ns, child.ended_ns, time.time_ns())
    """
    inner = python("import time; print(time.time_ns(), flush=True)")
    command, before, start, end, after = map(int, run([*python(program), *inner]).stdout.split())
    assert before <= start < command < end <= after


def test_busy_main_thread() -> None:
    """The end is noticed, and a signal forwarded, while the main thread computes and never waits."""
    program = """if True:
        import os, time
        from csm_otel.process.child import Child
        bounded = "trap 'exit 8' TERM; echo ready; for turn in $(seq 1800); do sleep 0.05; done"
        child = Child.start(["sh", "-c", bounded], os.environ)
        deadline = time.monotonic() + 50
        while child.poll() is None and time.monotonic() < deadline:
            sum(range(100))
        print(child.poll())
    """
    with started(python(program)) as process:
        assert next_line(process.stdout) == "ready"
        process.terminate()
        assert next_line(process.stdout) == "8"


def test_only_the_command_is_waited_for() -> None:
    """Other children of the wrapper are not reaped."""
    program = """if True:
        import os, subprocess
        from csm_otel.process.child import Child
        child = Child.start(["sh", "-c", "read line"], os.environ)
        print(subprocess.run(["sh", "-c", "exit 5"], stdin=subprocess.DEVNULL).returncode, child.poll())
    """
    assert run(python(program), data=b"").stdout.startswith(b"5 ")


def test_imports() -> None:
    """Nothing but the standard library is imported before the command is started."""
    program = """if True:
        import sys
        before = set(sys.modules)
        import csm_otel.process.child
        print(sorted(name for name in set(sys.modules) - before if name.split(".")[0] not in sys.stdlib_module_names))
    """
    expected = ["csm_otel", "csm_otel.errors", "csm_otel.process", "csm_otel.process.child"]
    assert run(python(program)).stdout.decode() == f"{expected}\n"


# A failure of the wrapper's own costs neither the status nor a signal.


def test_without_a_thread() -> None:
    """If no thread can be started, the main thread forwards signals and waits; the end cannot be noticed otherwise."""
    program = """if True:
        import os, threading
        from csm_otel.process.child import Child
        def start(self):
            raise RuntimeError("can't start new thread")
        threading.Thread.start = start
        child = Child.start(["sh", "-c", "trap 'exit 8' USR1; echo ready; while :; do sleep 0.05; done"], os.environ)
        os.write(1, f"{child.failure} {child.poll()}\\n".encode())  # at once, beside the command
        print(child.wait(), child.poll(), flush=True)
    """
    with started(python(program)) as process:
        assert sorted(next_line(process.stdout) for _ in range(2)) == ["can't start new thread None", "ready"]
        process.send_signal(signal.SIGUSR1)
        assert next_line(process.stdout) == "8 8"


def test_without_a_descriptor() -> None:
    """If the descriptor of the end cannot be had, the end is waited for all the same."""
    program = """if True:
        import os
        from csm_otel.process.child import Child
        def pipe():
            raise OSError(24, os.strerror(24))
        os.pipe = pipe
        child = Child.start(["sh", "-c", "exit 5"], os.environ)
        print(child.failure, child.fileno(), child.wait(), child.poll())
    """
    assert run(python(program)).stdout == b"too many open files -1 5 5\n"


@pytest.mark.parametrize("name", ["waitpid", "kill"])
def test_work_that_fails(name: str) -> None:
    """An exception while a signal is handled ends neither the handling of others nor the wait for the end."""
    program = f"""if True:
        import os
        from csm_otel.process.child import Child
        real, left = os.{name}, [None, None]
        def fail(*arguments):
            if left:
                left.pop()
                os.write(1, b"failed\\n")
                raise MemoryError
            return real(*arguments)
        os.{name} = fail
        trap = "trap 'exit 8' USR1; echo ready; while :; do sleep 0.05; done"
        print(Child.start(["sh", "-c", trap], os.environ).wait(), left, flush=True)
    """
    with started(python(program)) as process:
        assert next_line(process.stdout) == "ready"
        process.send_signal(signal.SIGUSR1)
        for _ in range(2):
            assert next_line(process.stdout) == "failed"
            if name == "kill":  # that signal is lost; the next one is not
                process.send_signal(signal.SIGUSR1)
        assert next_line(process.stdout) == "8 []"
