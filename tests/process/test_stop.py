"""Signals that stop a process, sent to a real one that waits in a selector or in a read."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from children.processes import DEADLINE_SECONDS, next_line, python, started

from csm_otel.process.stop import _TOGETHER_SECONDS

if TYPE_CHECKING:
    from subprocess import Popen


PROGRAM = """
import selectors, signal, sys
from csm_otel.process.stop import StopSignal

for name in sys.argv[1:]:
    signal.signal(signal.Signals[name], signal.SIG_IGN)
stop = StopSignal(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
with selectors.DefaultSelector() as selector:
    selector.register(stop, selectors.EVENT_READ)
    print(stop.is_set(), len(selector.select(0)), flush=True)
    print(len(selector.select(None)), stop.is_set(), flush=True)
sys.stdin.readline()
print("draining is over", flush=True)
"""


def wait_until_another_counts() -> None:
    """Wait until a signal is no longer one with the last."""
    time.sleep(4 * _TOGETHER_SECONDS)


NUMBERS = [pytest.param(number, id=number.name) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]


def end_of_input(process: Popen[bytes]) -> None:
    """Let the program run to its end."""
    assert process.stdin is not None
    process.stdin.close()


@pytest.mark.parametrize("number", NUMBERS)
def test_the_first_signal_stops(number: signal.Signals) -> None:
    """The first signal ends the wait of a selector, is remembered, and leaves the time to finish."""
    with started(python(PROGRAM)) as process:
        assert next_line(process.stdout) == "False 0"
        process.send_signal(number)
        assert next_line(process.stdout) == "1 True"
        end_of_input(process)
        assert next_line(process.stdout) == "draining is over"
        assert process.wait(DEADLINE_SECONDS) == 0


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("first", NUMBERS)
def test_the_second_signal_ends_at_once(first: signal.Signals, number: signal.Signals) -> None:
    """The second signal, the same or another, ends the process by that signal, in any state."""
    with started(python(PROGRAM)) as process:
        assert next_line(process.stdout) == "False 0"
        process.send_signal(first)
        assert next_line(process.stdout) == "1 True"
        process.send_signal(number)
        assert process.wait(DEADLINE_SECONDS) == -number
        assert process.stdout is not None
        assert not process.stdout.read()


TOGETHER = """
import os, signal, threading
from csm_otel.process.crash import hide_texts
from csm_otel.process.stop import StopSignal

hide_texts()
numbers = (signal.SIGTERM, signal.SIGINT)
own_pid = os.getpid()
# first
stop = StopSignal(*numbers)
# then
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
for number in numbers:
    os.kill(own_pid, number)
signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
print(stop.is_set(), flush=True)
"""


@pytest.mark.parametrize("init", ["", "os.getpid = lambda: 1"], ids=["usual", "init"])
@pytest.mark.parametrize("on_second", [False, True])
def test_signals_that_come_together_are_one(init: str, *, on_second: bool) -> None:
    """Two at once, as timeout(1) sends them, leave the time to finish, and nothing is printed."""
    program = TOGETHER.replace("# then", "stop.on_second(print, print)" if on_second else "")
    done = subprocess.run(
        python(program.replace("# first", init)), capture_output=True, check=False, timeout=DEADLINE_SECONDS
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"True\n", b"")


IN_BETWEEN = """
import os, signal, sys
from csm_otel.process.stop import StopSignal

stop = StopSignal(signal.SIGTERM, signal.SIGINT)
handler, came = signal.getsignal(signal.SIGTERM), []

def another(frame, event, _argument):
    if not came and frame.f_code is handler.__func__.__code__:
        came.append(True)
        os.kill(os.getpid(), signal.SIGTERM)

sys.settrace(another)
os.kill(os.getpid(), signal.SIGTERM)
print(stop.is_set(), came, flush=True)
"""


def test_a_signal_that_comes_before_the_first_is_handled() -> None:
    """A signal whose handler runs before that of the first has begun is one with the first."""
    done = subprocess.run(python(IN_BETWEEN), capture_output=True, check=False, timeout=DEADLINE_SECONDS)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"True [True]\n", b"")


def test_an_ignored_signal_stays_ignored() -> None:
    """A signal that was ignored at the start, as under nohup, neither stops nor counts."""
    with started([*python(PROGRAM), "SIGHUP"]) as process:
        assert next_line(process.stdout) == "False 0"
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert next_line(process.stdout) == "1 True"
        process.send_signal(signal.SIGHUP)
        end_of_input(process)
        assert next_line(process.stdout) == "draining is over"
        assert process.wait(DEADLINE_SECONDS) == 0


@pytest.mark.parametrize("number", NUMBERS)
def test_the_second_signal_to_pid_1(number: signal.Signals) -> None:
    """PID 1, which the kernel does not end, exits with 128 + n by itself."""
    with started(python(f"import os; os.getpid = lambda: 1; {PROGRAM}")) as process:
        assert next_line(process.stdout) == "False 0"
        process.send_signal(signal.SIGTERM)
        assert next_line(process.stdout) == "1 True"
        process.send_signal(number)
        assert process.wait(DEADLINE_SECONDS) == 128 + number


ON_SECOND = """
import os, signal, sys, time
from csm_otel.process import stop as stop_module
from csm_otel.process.stop import StopSignal

init, when, finishes = sys.argv[1:]
own_pid = os.getpid()
if init == "init":
    os.getpid = lambda: 1
stop_module._CANCELLING_SECONDS = 3600.0 if finishes == "finishes" else 0.05
stop = StopSignal(signal.SIGTERM, signal.SIGINT)
cancelled = []

def register():
    stop.on_second(lambda: cancelled.append(True), lambda: print("given up", flush=True))

if when == "before":
    register()
print("ready", flush=True)
while not stop.is_set():
    time.sleep(0.005)
time.sleep(2 * stop_module._TOGETHER_SECONDS)
if when == "after":
    register()
print("draining", flush=True)
while not cancelled or finishes != "finishes":
    time.sleep(0.005)
print("cancelled", stop.second_number, flush=True)
sys.stdin.readline()
stop.end_by_second()
"""
ENDS = [
    pytest.param(init, when, id=f"{init}, {when} the first")
    for init in ("usual", "init")
    for when in ("before", "after")
]


def returncode_for(number: signal.Signals, init: str) -> int:
    """Return how a process ends by a signal: as PID 1 by its own exit."""
    return 128 + number if init == "init" else -number


@pytest.mark.parametrize(("init", "when"), ENDS)
def test_the_second_signal_cancels(init: str, when: str) -> None:
    """The second signal has the process cancel what it does, and end by that signal when it has finished."""
    with started([*python(ON_SECOND), init, when, "finishes"]) as process:
        assert next_line(process.stdout) == "ready"
        process.send_signal(signal.SIGTERM)
        assert next_line(process.stdout) == "draining"
        process.send_signal(signal.SIGINT)
        assert next_line(process.stdout) == "cancelled 2"
        end_of_input(process)
        assert process.wait(DEADLINE_SECONDS) == returncode_for(signal.SIGINT, init)


@pytest.mark.parametrize(("init", "when"), ENDS)
def test_a_process_that_does_not_finish_is_given_up(init: str, when: str) -> None:
    """One that goes on after the second signal has the last word from another thread, and ends by that signal."""
    with started([*python(ON_SECOND), init, when, "hangs"]) as process:
        assert next_line(process.stdout) == "ready"
        process.send_signal(signal.SIGINT)
        assert next_line(process.stdout) == "draining"
        process.send_signal(signal.SIGTERM)
        assert next_line(process.stdout) == "given up"
        assert process.wait(DEADLINE_SECONDS) in (-signal.SIGTERM, 128 + signal.SIGTERM)  # the same to a shell


@pytest.mark.parametrize("init", ["usual", "init"])
def test_the_third_signal_ends_at_once(init: str) -> None:
    """The third signal ends the process, whatever it still does."""
    with started([*python(ON_SECOND), init, "before", "finishes"]) as process:
        assert next_line(process.stdout) == "ready"
        process.send_signal(signal.SIGTERM)
        assert next_line(process.stdout) == "draining"
        process.send_signal(signal.SIGTERM)
        assert next_line(process.stdout) == "cancelled 15"
        wait_until_another_counts()
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_SECONDS) == returncode_for(signal.SIGINT, init)


READER = """
import os, signal
from csm_otel.process.stop import StopSignal, interruptible

stop = StopSignal(signal.SIGTERM, signal.SIGINT)
with interruptible(os.dup(0), stop) as stream:
    print("ready", flush=True)
    for line in iter(stream.readline, b""):
        print(line, flush=True)
print("over", stop.is_set(), flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_input(number: signal.Signals) -> None:
    """Available input is read; at the first signal the reader is at its end, and the process continues."""
    with started(python(READER)) as process:
        assert next_line(process.stdout) == "ready"
        assert process.stdin is not None
        process.stdin.write(b"one\ntwo\n")
        process.stdin.flush()
        assert [next_line(process.stdout), next_line(process.stdout)] == [r"b'one\n'", r"b'two\n'"]
        process.send_signal(number)
        assert next_line(process.stdout) == "over True"
        assert process.wait(DEADLINE_SECONDS) == 0


def test_the_end_of_the_input() -> None:
    """Without a signal the reader ends where its file does, after an unterminated line, too."""
    with started(python(READER)) as process:
        assert next_line(process.stdout) == "ready"
        assert process.stdin is not None
        process.stdin.write(b"half")
        process.stdin.close()
        assert [next_line(process.stdout), next_line(process.stdout)] == ["b'half'", "over False"]


REQUESTS = """
import selectors, signal
from csm_otel.process.stop import StopSignal

signal.signal(signal.SIGHUP, signal.SIG_IGN)
stop = StopSignal(signal.SIGTERM, requests=(signal.SIGHUP, signal.SIGUSR1))
with selectors.DefaultSelector() as selector:
    selector.register(stop, selectors.EVENT_READ)
    print("ready", flush=True)
    while not stop.is_set():
        selector.select(None)
        if requested := stop.take_requests():
            print(*requested, len(selector.select(0)), flush=True)
    stop.take_requests()
    print("stopped", len(selector.select(0)), flush=True)
input()
print("draining is over", flush=True)
"""


def test_requests_wake_and_end_nothing() -> None:
    """Each is taken once, even if it was ignored at the start; during the shutdown they do not end the process."""
    with started(python(REQUESTS)) as process:
        assert next_line(process.stdout) == "ready"
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGHUP):
            process.send_signal(number)
            assert next_line(process.stdout) == f"{int(number)} 0"
        process.send_signal(signal.SIGTERM)
        assert next_line(process.stdout) == "stopped 1"
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGUSR1)
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert next_line(process.stdout) == "draining is over"


WAKE_AFTER_REQUEST = """
import os, select, signal, sys
from csm_otel.process.stop import StopSignal
from csm_otel.process.waker import Waker

stop, came = StopSignal(signal.SIGTERM, requests=(signal.SIGHUP,)), []

def another(frame, event, _argument):
    if event == "return" and not came:
        came.append(True)
        os.kill(os.getpid(), signal.SIGHUP)
    return another

sys.settrace(lambda frame, event, _argument: another if frame.f_code is Waker.clear.__code__ else None)
os.kill(os.getpid(), signal.SIGHUP)
print(stop.take_requests(), came)
sys.settrace(None)
print(stop.take_requests(), len(select.select([stop], [], [], 0)[0]))
"""


def test_a_request_that_comes_while_another_is_taken() -> None:
    """It is taken with the other one, and wakes once more at most, not for good."""
    done = subprocess.run(python(WAKE_AFTER_REQUEST), capture_output=True, check=False, timeout=DEADLINE_SECONDS)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"{1} [True]\nset() 0\n", b"")
