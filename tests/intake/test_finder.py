"""Origins by port: found for real sockets and processes, kept, looked up again, bounded, never waited for."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from children.processes import DEADLINE_SECONDS, next_line, python, started
from platforms import on_linux

from csm_otel.csm.events import ApiCall, Dialect, Ended, Origin, Peer
from csm_otel.intake.endings import GRACE_SECONDS
from csm_otel.intake.finder import OriginFinder
from csm_otel.intake.procfs import sockets

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

CALL = ApiCall(dialect=Dialect.BOTOCORE, service="S3", api="ListBuckets")
SENDER = """
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
print(sock.getsockname()[1], flush=True)
input()
"""


@pytest.fixture
def finder() -> Generator[OriginFinder]:
    """Return a finder that is stopped at the end."""
    with closing(OriginFinder()) as finder:
        yield finder
        finder.stop()


@pytest.fixture
def own_port() -> Generator[int]:
    """Return the port of a socket of this process."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def look_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no process be one of the latest."""
    for module in ("glances", "finder"):
        monkeypatch.setattr(f"csm_otel.intake.{module}.latest_pids", lambda _: [])


def note(finder: OriginFinder, port: int, now: float = 0.0, *, received_ns: int | None = None) -> Peer:
    """Note a datagram of the port."""
    received_ns = time.time_ns() if received_ns is None else received_ns
    return finder.note(CALL, Peer("127.0.0.1", port), received_ns=received_ns, now=now)


def answer(finder: OriginFinder, peer: Peer) -> Origin | None:
    """Return the answer once the search has ended."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while finder.is_sought(peer):
        assert time.monotonic() < deadline
        select.select([finder], [], [], 0.1)
        finder.look_for_ends(now=time.monotonic(), is_drained=True)
    return finder.origin_of(peer)


def next_ended(finder: OriginFinder) -> Ended:
    """Return what ends within the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (ended := finder.ended()):
        assert time.monotonic() < deadline
        select.select([finder], [], [], 0.1)
        finder.look_for_ends(now=time.monotonic(), is_drained=True)
    (one,) = ended
    return one


@on_linux
def test_found_and_kept(finder: OriginFinder, own_port: int) -> None:
    """The process behind a port is found, and what follows within five seconds each is the same generation."""
    peer = note(finder, own_port, now=0.0)
    found = answer(finder, peer)

    assert found is not None
    assert found.pid == os.getpid()
    assert [note(finder, own_port, now=now) for now in (4.9, 9.8, 14.7)] == [peer] * 3
    assert peer[:2] == ("127.0.0.1", own_port)


@on_linux
def test_silence(finder: OriginFinder, own_port: int) -> None:
    """After more than five seconds of silence it is looked up again; the former answer stays the former peer's."""
    former = note(finder, own_port, now=0.0)
    answer(finder, former)

    later = note(finder, own_port, now=5.1)

    assert later != former
    assert answer(finder, later) is not None
    assert finder.origin_of(former) is not None


@on_linux
def test_nobody_there(finder: OriginFinder, own_port: int) -> None:
    """A socket that is closed by then has no origin; the port is tried again only after five seconds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        closed = sock.getsockname()[1]
    peer = note(finder, closed, now=0.0)
    assert answer(finder, peer) is None
    assert note(finder, closed, now=3.0) == peer
    assert note(finder, closed, now=6.0) != peer
    assert answer(finder, note(finder, own_port)) is not None


@on_linux
def test_an_ended_process_sends_no_more(finder: OriginFinder) -> None:
    """What comes after a process's end is looked up again; what came before stays its own."""
    with started(python(SENDER)) as process:
        port = int(next_line(process.stdout))
        peer = note(finder, port)
        found = answer(finder, peer)
        assert found is not None
        assert found.pid == process.pid
        before_ns = time.time_ns()
        process.send_signal(signal.SIGKILL)
        (end,), peers = next_ended(finder)

    assert peers == [peer]
    assert (end.origin, end.is_exact) == (found, True)
    assert note(finder, port, received_ns=before_ns) == peer
    assert note(finder, port, received_ns=end.noticed_ns + 1) != peer


@on_linux
def test_an_end_is_told_when_it_is_due(finder: OriginFinder) -> None:
    """It waits for the datagrams that were sent before it; when the finder is stopped it does not."""
    with started(python(SENDER)) as process:
        assert answer(finder, note(finder, int(next_line(process.stdout)))) is not None
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (due := finder.next_end()) is None:
        assert time.monotonic() < deadline
        select.select([finder], [], [], 0.1)
        finder.look_for_ends(now=100.0, is_drained=True)
    assert due == pytest.approx(100.0 + GRACE_SECONDS)
    finder.look_for_ends(now=due, is_drained=False)
    assert finder.ended() == []

    finder.stop()

    (ended,) = finder.ended()
    assert [process.pid] == [end.origin.pid for end in ended.processes]
    assert finder.next_end() is None


@pytest.mark.parametrize(
    ("dialect", "host"),
    [
        pytest.param(Dialect.RUBY, "127.0.0.1", id="ruby"),
        pytest.param(Dialect.PHP, "127.0.0.1", id="php"),
        pytest.param(Dialect.BOTOCORE, "192.0.2.1", id="remote"),
    ],
)
def test_not_tried(finder: OriginFinder, dialect: Dialect, host: str, own_port: int) -> None:
    """Senders that close their socket after each datagram, and those of other hosts, are not looked for."""
    event = ApiCall(dialect=dialect, service="S3", api="ListBuckets")
    peer = finder.note(event, Peer(host, own_port), received_ns=0, now=0.0)

    assert peer == Peer(host, own_port)
    assert (finder.is_sought(peer), finder.origin_of(peer)) == (False, None)


def test_without_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_port: int) -> None:
    """Where there is no /proc nothing is looked for, and nothing waits."""
    monkeypatch.setattr(sockets, "_PROC", tmp_path)
    with closing(OriginFinder()) as finder:
        peer = note(finder, own_port)
        finder.stop()

    assert not finder.is_available
    assert (finder.is_sought(peer), finder.origin_of(peer), finder.ended()) == (False, None, [])


@on_linux
def test_a_failure_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch, own_port: int) -> None:
    """Should looking fail altogether, what it was to find is unknown."""

    def fail(*_: object, **_more: object) -> None:
        raise MemoryError

    look_no_further(monkeypatch)
    monkeypatch.setattr("csm_otel.intake.finder.find_holders", fail)
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    with closing(OriginFinder()) as finder:
        assert answer(finder, note(finder, own_port)) is None
        finder.stop()


@on_linux
def test_scans_are_shared_and_rare(monkeypatch: pytest.MonkeyPatch, own_port: int) -> None:
    """The first of many ports has all processes scanned at once; ten scans a second serve however many follow."""
    scans: list[float] = []

    def counted() -> list[int]:
        scans.append(time.monotonic())
        return []

    look_no_further(monkeypatch)
    monkeypatch.setattr("csm_otel.intake.finder.newest_first", counted)
    with closing(OriginFinder()) as finder:
        peers: list[Peer] = []
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            peers.append(note(finder, own_port, now=100.0 * len(peers)))
            select.select([], [], [], 0.002)  # so that the scans can be seen to be rare
        for peer in peers:
            assert answer(finder, peer) is None
        finder.stop()

    assert len(peers) > len(scans) > 1
    assert all(later - earlier >= 1 for earlier, later in zip(scans, scans[10:], strict=False))


@on_linux
def test_a_process_that_ends_at_once(finder: OriginFinder, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is enough that it was there when its datagram was noted; its end is told, though nobody saw it."""
    monkeypatch.setattr("csm_otel.intake.glances._LATEST_PIDS", 10_000)  # others may start as many in between
    monkeypatch.setattr("csm_otel.intake.finder.Waker.wake", lambda _: None)
    with started(python(SENDER)) as process:
        peer = note(finder, int(next_line(process.stdout)))
    monkeypatch.undo()
    finder._work.wake()

    found = answer(finder, peer)

    assert found is not None
    assert found.pid == process.pid
    assert [(found, False)] == [(end.origin, end.is_exact) for end in next_ended(finder).processes]


@on_linux
def test_another_socket_of_a_known_process(
    finder: OriginFinder, monkeypatch: pytest.MonkeyPatch, own_port: int
) -> None:
    """A process that was found before is found by its other sockets without a scan of all processes."""
    first = answer(finder, note(finder, own_port))
    assert first is not None
    monkeypatch.setattr("csm_otel.intake.finder.newest_first", list)
    for _ in range(30):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            found = answer(finder, note(finder, sock.getsockname()[1]))
            assert found is not None
            assert found.process == first.process


@on_linux
def test_a_flood_of_ports_is_forgotten(finder: OriginFinder, monkeypatch: pytest.MonkeyPatch, own_port: int) -> None:
    """However many ports there are, only so many are remembered, and the one that keeps sending is among them."""
    monkeypatch.setattr("csm_otel.intake.finder._MAX_SENDERS", 100)
    peer = note(finder, own_port)
    for port in range(1, 1001):
        note(finder, port)
        note(finder, own_port)

    assert len(finder._senders) == len(finder._current) == 100
    assert note(finder, own_port) == peer
    assert answer(finder, peer) is not None
