"""Ends of processes: reported at once by a pidfd, or by checks without one."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest
from children.processes import DEADLINE_SECONDS, next_line, python, started
from platforms import on_linux

from csm_otel.intake import process_ends
from csm_otel.intake.process_ends import ProcessEnds
from csm_otel.intake.procfs.process import describe
from csm_otel.process.waker import Waker

if TYPE_CHECKING:
    from collections.abc import Generator

    from csm_otel.csm.events import Origin, ProcessEnd

WAIT = "print('here', flush=True); input()"


@pytest.fixture
def waker() -> Generator[Waker]:
    """Return a waker that is closed at the end."""
    with closing(Waker()) as waker:
        yield waker


def wait_for_end(ends: ProcessEnds) -> ProcessEnd:
    """Return the one end that comes within the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (ended := ends.wait(0.1)):
        assert time.monotonic() < deadline
    (end,) = ended
    return end


def described(pid: int) -> Origin:
    """Return a running process."""
    origin = describe(pid)
    assert origin is not None
    return origin


@on_linux
@pytest.mark.parametrize("has_pidfd", [pytest.param(True, id="pidfd"), pytest.param(False, id="without")])
def test_the_end_of_a_process(waker: Waker, monkeypatch: pytest.MonkeyPatch, *, has_pidfd: bool) -> None:
    """It is reported once, also if the process is not reaped; only with a pidfd its time is exact."""
    if not has_pidfd:
        monkeypatch.delattr(os, "pidfd_open")
    with closing(ProcessEnds(waker)) as ends, started(python(WAIT)) as process:
        next_line(process.stdout)
        origin = described(process.pid)
        for _ in range(2):
            ends.watch(origin)
        assert ends.wait(0) == []
        before_ns = time.time_ns()
        process.send_signal(signal.SIGKILL)

        end = wait_for_end(ends)

        assert (end.origin, end.is_exact) == (origin, has_pidfd)
        assert before_ns <= end.noticed_ns <= time.time_ns()
        assert ends.wait(0) == []


@on_linux
def test_beyond_the_bound_it_is_checked(waker: Waker, monkeypatch: pytest.MonkeyPatch) -> None:
    """More processes than pidfds are watched nevertheless."""
    monkeypatch.setattr(process_ends, "_MAX_PIDFDS", 0)
    with closing(ProcessEnds(waker)) as ends, started(python(WAIT)) as process:
        next_line(process.stdout)
        ends.watch(described(process.pid))
        process.send_signal(signal.SIGKILL)

        assert not wait_for_end(ends).is_exact


@on_linux
def test_a_pid_that_is_another_processes(waker: Waker) -> None:
    """A process whose pid was given to another has ended."""
    with closing(ProcessEnds(waker)) as ends:
        former = msgspec.structs.replace(described(os.getpid()), start_ticks=1)
        ends.watch(former)

        assert wait_for_end(ends).origin == former


@on_linux
def test_it_can_be_woken(waker: Waker) -> None:
    """A wait ends while the waker is readable."""
    with closing(ProcessEnds(waker)) as ends:
        waker.wake()
        assert ends.wait(DEADLINE_SECONDS) == []
        waker.clear()
        assert ends.wait(0) == []


@on_linux
def test_it_need_not_wake(waker: Waker) -> None:
    """A wait that may not wake lasts until an end, or its time."""
    with closing(ProcessEnds(waker)) as ends, started(python(WAIT)) as process:
        next_line(process.stdout)
        ends.watch(described(process.pid))
        waker.wake()
        began = time.monotonic()
        assert ends.wait(0.1, may_wake=False) == []
        assert time.monotonic() - began >= 0.1
        process.send_signal(signal.SIGKILL)
        (end,) = ends.wait(DEADLINE_SECONDS, may_wake=False)

    assert end.origin.pid == process.pid


@on_linux
def test_how_often_it_is_checked(waker: Waker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pidfds a process is checked once a second by the clock."""
    monkeypatch.delattr(os, "pidfd_open")
    now = 100.0
    alive = [True]
    monkeypatch.setattr(process_ends, "_is_alive", lambda _: alive[0])
    with closing(ProcessEnds(waker, clock=lambda: now)) as ends:
        origin = described(os.getpid())
        ends.watch(origin)
        assert ends.wait(0) == []
        alive[0] = False
        now = 100.9
        assert ends.wait(0) == []
        now = 101.0
        (end,) = ends.wait(None)
        assert (end.origin, end.is_exact) == (origin, False)
