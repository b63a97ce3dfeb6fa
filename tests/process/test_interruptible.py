"""Reading that ends with the wish to stop, told by real signals to a real process that waits for a pipe."""

from __future__ import annotations

import signal

import pytest
from children.processes import DEADLINE_SECONDS, next_line, python, started

PROGRAM = """
import os, signal
from csm_otel.process.interruptible import interruptible
from csm_otel.process.stop import StopSignal

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
    with started(python(PROGRAM)) as process:
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
    with started(python(PROGRAM)) as process:
        assert next_line(process.stdout) == "ready"
        assert process.stdin is not None
        process.stdin.write(b"half")
        process.stdin.close()
        assert [next_line(process.stdout), next_line(process.stdout)] == ["b'half'", "over False"]
