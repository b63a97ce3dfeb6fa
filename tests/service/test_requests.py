"""What a running daemon does on a signal, on numbers: reopens, and one flush after the other."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from service.bridges import HeldQueue, bridge_to, receive_attempt, with_queue

from csm_otel.service.requests import SignalRequests

if TYPE_CHECKING:
    from csm_otel.files.filewriter import FileWriter

NOW = 100.0
MOST_TURNS = 20


class Daemon:
    """A pipeline with a held back end, and the signals that it received."""

    def __init__(self) -> None:
        self.queue = HeldQueue()
        self.bridge = with_queue(bridge_to([]), self.queue)
        self.said: list[str] = []
        self.received: set[int] = set()
        self.requests = self._requests()

    def _requests(self) -> SignalRequests:
        return SignalRequests(
            self.bridge, take=self._take, timeout_seconds=5.0, say=self.said.append, wall_clock_ns=lambda: 1
        )

    def count_reopenings(self) -> list[str]:
        """Give it a file, and return a list that gets an item each time that it is reopened."""
        reopened: list[str] = []
        file: Any = type("File", (), {"reopen": lambda _self: reopened.append("file")})()
        self.bridge = self.bridge._replace(outlets=replace(self.bridge.outlets, file=cast("FileWriter", file)))
        self.requests = self._requests()
        return reopened

    def receive(self, *numbers: int, now: float = NOW) -> None:
        """Receive signals, and run several turns of the loop."""
        self.received |= set(numbers)
        for _ in range(MOST_TURNS):
            self.bridge.pipeline.advance(now=now)
            self.requests.poll(now=now)

    def _take(self) -> set[int]:
        received, self.received = self.received, set()
        return received


def test_no_signal() -> None:
    """Nothing is done, and nothing is waited for."""
    daemon = Daemon()
    daemon.receive()
    assert (daemon.requests.fileno(), daemon.requests.next_deadline(), daemon.said) == (-1, None, [])


def test_files_are_reopened_once_for_each_signal() -> None:
    """SIGHUP reopens them at once, and says nothing where that works."""
    daemon = Daemon()
    reopened = daemon.count_reopenings()
    daemon.receive(signal.SIGHUP)
    assert reopened == ["file"]
    daemon.receive(signal.SIGHUP)
    assert reopened == ["file", "file"]
    assert daemon.said == []


def test_a_flush_is_reported_when_all_is_delivered() -> None:
    """SIGUSR1 releases what is pending, and there is a line once the back end has it."""
    daemon = Daemon()
    receive_attempt(daemon.bridge, now=NOW)
    daemon.receive(signal.SIGUSR1)
    assert daemon.bridge.snapshot().events_pending == 0
    assert daemon.said == []
    assert daemon.requests.next_deadline() == pytest.approx(NOW + 0.02)

    daemon.queue.has_all = True
    daemon.receive()
    (line,) = daemon.said
    assert line.startswith("flushed on SIGUSR1, all was delivered: 1 datagram received, ")
    assert daemon.requests.next_deadline() is None


def test_a_flush_that_fails_is_reported() -> None:
    """A back end that is unavailable is waited for until the deadline."""
    daemon = Daemon()
    daemon.receive(signal.SIGUSR1)
    daemon.receive(now=NOW + 5.0)
    (line,) = daemon.said
    assert line.startswith("flushed on SIGUSR1, not all was delivered: not within 5 s: 0 datagrams received, ")


def test_signals_during_a_flush_are_one_more() -> None:
    """However many there are meanwhile, one flush follows, of all that had arrived by then."""
    daemon = Daemon()
    for _ in range(3):
        daemon.receive(signal.SIGUSR1)
    daemon.queue.has_all = True
    daemon.receive()
    assert len(daemon.said) == 2


@pytest.mark.parametrize("signals", [1, 2], ids=["running", "one-more"])
def test_a_flush_that_the_stop_ends_is_reported(signals: int) -> None:
    """There is one line, whether the flush has begun or not."""
    daemon = Daemon()
    for _ in range(signals):
        daemon.receive(signal.SIGUSR1)
    daemon.requests.close()
    (line,) = daemon.said
    assert line.startswith(
        "flushed on SIGUSR1, not all was delivered: the daemon is being stopped: 0 datagrams received, "
    )


def test_a_signal_together_with_the_stop_is_reported() -> None:
    """The loop ends before it has taken the signal."""
    daemon = Daemon()
    daemon.received.add(signal.SIGUSR1)
    daemon.requests.close()
    (line,) = daemon.said
    assert line.startswith("flushed on SIGUSR1, not all was delivered: the daemon is being stopped: ")


def test_the_stop_alone_says_nothing() -> None:
    """Without a flush, or after one that has ended, there is no line."""
    daemon = Daemon()
    daemon.queue.has_all = True
    daemon.receive(signal.SIGUSR1)
    said = len(daemon.said)
    daemon.requests.close()
    assert len(daemon.said) == said == 1
