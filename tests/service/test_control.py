"""The control socket of a daemon: real connections, one line each way, flushes side by side."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from otlp_backend import wait_until
from service.bridges import HeldQueue, bridge_to, receive_attempt, with_queue

from csm_otel.service.control import Control
from csm_otel.service.flushing import MAX_TIMEOUT_SECONDS
from csm_otel.tally import Snapshot

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

DEADLINE_SECONDS = 60.0
NOT_UNDERSTOOD = {"error": "not understood"}


class Daemon:
    """A control socket, the pipeline behind it, and the current time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 100.0
        self.queue = HeldQueue()
        self.bridge = with_queue(bridge_to([]), self.queue)
        self.control = Control.open(path, self.bridge)

    def turn(self) -> None:
        """Run one turn of the loop."""
        self.bridge.pipeline.advance(now=self.now)
        self.control.poll(now=self.now)

    def ask(self, line: bytes) -> socket.socket:
        """Return a connection with a line sent on it."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(str(self.path))
        sock.settimeout(DEADLINE_SECONDS)
        sock.sendall(line)
        return sock

    def flush(self, timeout_seconds: float) -> socket.socket:
        """Return a connection on which a flush has been requested, which has begun."""
        begun = len(self.control._flushings)
        sock = self.ask(json.dumps({"do": "flush", "timeout_seconds": timeout_seconds}).encode() + b"\n")

        def has_begun() -> bool:
            self.turn()
            return len(self.control._flushings) > begun

        wait_until(has_begun)
        return sock


@pytest.fixture
def daemon(tmp_path: Path) -> Generator[Daemon]:
    """Run one."""
    daemon = Daemon(tmp_path / "folder/sock")
    with closing(daemon.control):
        yield daemon


def answer(daemon: Daemon, sock: socket.socket) -> dict[str, Any]:
    """Return the answer, with turns of the loop until it is there."""
    sock.setblocking(False)
    line = b""

    def is_whole() -> bool:
        nonlocal line
        daemon.turn()
        try:
            line += sock.recv(65_536)
        except BlockingIOError:
            return False
        return line.endswith(b"\n")

    with sock:
        wait_until(is_whole)
    answered: dict[str, Any] = json.loads(line)
    return answered


def test_a_flush(daemon: Daemon) -> None:
    """A flush is answered once the back end has everything, with the counts."""
    receive_attempt(daemon.bridge, now=daemon.now)
    sock = daemon.flush(10)
    daemon.queue.has_all = True

    answered = answer(daemon, sock)

    assert answered == {"delivered": True, "why_not": "", **daemon.bridge.snapshot()._asdict()}
    assert (answered["attempts"], answered["events_pending"]) == (1, 0)


def test_health(daemon: Daemon) -> None:
    """The state is answered at once, while a flush waits, with troubles and counts."""
    receive_attempt(daemon.bridge, now=daemon.now)
    with daemon.flush(10):
        answered = answer(daemon, daemon.ask(b'{"do": "health"}\n'))

    assert answered.keys() == {"status", "troubles", *Snapshot._fields}
    assert (answered["status"], answered["troubles"], answered["attempts"]) == ("ok", [], 1)


def test_flushes_side_by_side(daemon: Daemon) -> None:
    """Each flush has its own timeout, and none waits for another."""
    patient, hasty = daemon.flush(10), daemon.flush(1)
    daemon.now += 1.0
    assert answer(daemon, hasty)["why_not"] == "not within 1 s"

    daemon.queue.has_all = True

    assert answer(daemon, patient)["delivered"]


def test_when_it_is_polled(daemon: Daemon) -> None:
    """Without a flush only clients wake the loop; a flush that waits for the back end is checked every 20 ms."""
    assert daemon.control.next_deadline() is None
    with daemon.flush(10):
        for _ in range(5):
            daemon.turn()
        assert daemon.control.next_deadline() == pytest.approx(daemon.now + 0.02)
        daemon.queue.has_all = True
        daemon.turn()
        assert not daemon.control._flushings


def test_hanging_up_cancels_the_flush(daemon: Daemon) -> None:
    """The flush of a client that has hung up is cancelled."""
    daemon.flush(MAX_TIMEOUT_SECONDS).close()

    def is_forgotten() -> bool:
        daemon.turn()
        return not daemon.control._flushings

    wait_until(is_forgotten)
    assert daemon.control.next_deadline() is None


def test_closing(daemon: Daemon) -> None:
    """A stopped daemon answers waiting clients, and removes its socket."""
    with daemon.flush(10) as sock:
        daemon.control.close()
        answered = json.loads(sock.recv(65_536))
    assert (answered["delivered"], answered["why_not"]) == (False, "the daemon is being stopped")
    assert not daemon.path.exists()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff",
        b"[" * 5000,
        b"1",
        b"{}",
        b'{"do": "rest", "timeout_seconds": 1}',
        b'{"do": "flush"}',
        *(b'{"do": "flush", "timeout_seconds": %s}' % seconds for seconds in (b"-1", b'"1"', b"true", b"null", b"NaN")),
        b'{"do": "flush", "timeout_seconds": 3600.1}',
    ],
)
def test_no_request(daemon: Daemon, line: bytes) -> None:
    """A line that is not a flush request, with a timeout of up to an hour, is answered with an error."""
    assert answer(daemon, daemon.ask(line + b"\n")) == NOT_UNDERSTOOD


@pytest.mark.parametrize("seconds", [b"0", b"0.5", b"3600"])
def test_timeouts(daemon: Daemon, seconds: bytes) -> None:
    """Any timeout up to an hour is accepted."""
    daemon.queue.has_all = True
    sock = daemon.ask(b'{"do": "flush", "timeout_seconds": %s}\n' % seconds)
    assert "delivered" in answer(daemon, sock)
