"""The wish to stop, told by real signals to a real process that waits."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from children.processes import DEADLINE_SECONDS, next_line, python, started

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
NUMBERS = [pytest.param(number, id=number.name) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]


def end_of_input(process: Popen[bytes]) -> None:
    """Let the program go on to its end."""
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
    """The second signal, the same or another, ends the process whatever it does, as a shell tells with 128+n."""
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
stop = StopSignal(*numbers)
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
for number in numbers:
    os.kill(os.getpid(), number)
signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
print(stop.is_set(), flush=True)
"""


def test_signals_that_come_together_are_one() -> None:
    """Two at once, as timeout(1) sends them, leave the time to finish, and nothing is said of it."""
    done = subprocess.run(python(TOGETHER), capture_output=True, check=False, timeout=DEADLINE_SECONDS)
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
    """Python runs the handler of the second whole, before that of the first has begun; both are one."""
    done = subprocess.run(python(IN_BETWEEN), capture_output=True, check=False, timeout=DEADLINE_SECONDS)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"True [True]\n", b"")


def test_an_ignored_signal_stays_ignored() -> None:
    """What was ignored at the start, as nohup has it, neither stops nor counts."""
    with started([*python(PROGRAM), "SIGHUP"]) as process:
        assert next_line(process.stdout) == "False 0"
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert next_line(process.stdout) == "1 True"
        process.send_signal(signal.SIGHUP)
        end_of_input(process)
        assert next_line(process.stdout) == "draining is over"
        assert process.wait(DEADLINE_SECONDS) == 0


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
def test_a_signal_ends_it(number: signal.Signals) -> None:
    """What is there is read; with the first signal the file seems to end, and the process goes on."""
    with started(python(READER)) as process:
        assert next_line(process.stdout) == "ready"
        assert process.stdin is not None
        process.stdin.write(b"one\ntwo\n")
        process.stdin.flush()
        assert [next_line(process.stdout), next_line(process.stdout)] == [r"b'one\n'", r"b'two\n'"]
        process.send_signal(number)
        assert next_line(process.stdout) == "over True"
        assert process.wait(DEADLINE_SECONDS) == 0


def test_its_own_end() -> None:
    """Without a signal it ends where the file does, a line without its end included."""
    with started(python(READER)) as process:
        assert next_line(process.stdout) == "ready"
        assert process.stdin is not None
        process.stdin.write(b"half")
        process.stdin.close()
        assert [next_line(process.stdout), next_line(process.stdout)] == ["b'half'", "over False"]
