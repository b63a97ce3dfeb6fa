"""Origins by port: found for real sockets and processes, kept, never waited for."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from children.processes import DEADLINE_SECONDS, next_line, python, started
from intake.sending import SENDER, closed_port, own_socket
from platforms import on_linux

from csm_otel.csm.events import ApiCall, Dialect, Ended, Origin, Peer
from csm_otel.intake.endings import GRACE_SECONDS
from csm_otel.intake.finder import OriginFinder
from csm_otel.intake.lookup import Lookup
from csm_otel.intake.procfs import sockets
from csm_otel.intake.search import Search

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

CALL = ApiCall(dialect=Dialect.BOTOCORE, service="S3", api="ListBuckets")


@pytest.fixture
def finder() -> Generator[OriginFinder]:
    """Return a finder that is stopped at the end."""
    with closing(OriginFinder()) as finder:
        yield finder
        finder.stop()


@pytest.fixture
def own() -> Generator[Peer]:
    """Return the peer of a socket of this process."""
    with own_socket() as peer:
        yield peer


def note(finder: OriginFinder, peer: Peer, now: float = 0.0, *, received_ns: int | None = None) -> Peer:
    """Note a datagram of the peer."""
    received_ns = time.time_ns() if received_ns is None else received_ns
    return finder.note(CALL, peer, received_ns=received_ns, now=now)


def answer(finder: OriginFinder, peer: Peer) -> Origin | None:
    """Return the result once the lookup has ended."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while finder.is_resolving(peer):
        assert time.monotonic() < deadline
        select.select([finder], [], [], 0.1)
        finder.poll(now=0.0, is_drained=True)
    return finder.origin_of(peer)


def due_end(finder: OriginFinder, now: float) -> float:
    """Return when the next end of a process that is noticed at ``now`` is due."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (due := finder.next_deadline()) is None:
        assert time.monotonic() < deadline
        select.select([finder], [], [], 0.1)
        finder.poll(now=now, is_drained=True)
    return due


def next_ended(finder: OriginFinder) -> Ended:
    """Return what ends within the deadline."""
    finder.poll(now=due_end(finder, now=0.0), is_drained=True)
    (ended,) = finder.ended()
    return ended


def sender_of(line: str) -> Peer:
    """Return the peer of a process from the line that it prints."""
    return Peer("127.0.0.1", int(line.partition(" ")[0]))


@on_linux
def test_found_and_kept(finder: OriginFinder, own: Peer) -> None:
    """The process behind a port is found, and datagrams within five seconds of each other are the same generation."""
    peer = note(finder, own, now=0.0)
    found = answer(finder, peer)

    assert found is not None
    assert found.pid == os.getpid()
    assert [note(finder, own, now=now) for now in (4.9, 9.8, 14.7)] == [peer] * 3
    assert peer[:2] == own[:2]


@on_linux
def test_silence(finder: OriginFinder, own: Peer) -> None:
    """After more than five seconds of silence it is looked up again; the former answer stays the former peer's."""
    former = note(finder, own, now=0.0)
    answer(finder, former)

    later = note(finder, own, now=5.1)

    assert later != former
    assert answer(finder, later) is not None
    assert finder.origin_of(former) is not None


@on_linux
def test_a_closed_socket(finder: OriginFinder, own: Peer) -> None:
    """A socket that is closed by then has no origin; the port is tried again only after five seconds."""
    closed = closed_port()
    peer = note(finder, closed, now=0.0)
    assert answer(finder, peer) is None
    assert note(finder, closed, now=3.0) == peer
    assert note(finder, closed, now=6.0) != peer
    assert answer(finder, note(finder, own)) is not None


@on_linux
def test_an_ended_process_sends_no_more(finder: OriginFinder) -> None:
    """Datagrams received after a process's end are looked up again; earlier ones stay its own."""
    with started(python(SENDER)) as process:
        sender = sender_of(next_line(process.stdout))
        peer = note(finder, sender)
        found = answer(finder, peer)
        assert found is not None
        assert found.pid == process.pid
        before_ns = time.time_ns()
        process.send_signal(signal.SIGKILL)
        (end,), peers = next_ended(finder)

    assert peers == [peer]
    assert end.origin == found
    assert note(finder, sender, received_ns=before_ns) == peer
    assert note(finder, sender, received_ns=end.noticed_ns + 1) != peer


@on_linux
def test_an_end_is_returned_when_it_is_due(finder: OriginFinder) -> None:
    """It waits for the datagrams that were sent before it; when the finder is stopped it does not."""
    with started(python(SENDER)) as process:
        assert answer(finder, note(finder, sender_of(next_line(process.stdout)))) is not None
    due = due_end(finder, now=100.0)
    assert due == pytest.approx(100.0 + GRACE_SECONDS)
    finder.poll(now=due, is_drained=False)
    assert finder.ended() == []

    finder.stop()

    (ended,) = finder.ended()
    assert [process.pid] == [end.origin.pid for end in ended.processes]
    assert (finder.ended(), finder.next_deadline()) == ([], None)


@pytest.mark.parametrize(
    ("dialect", "host"),
    [
        pytest.param(Dialect.RUBY, "127.0.0.1", id="ruby"),
        pytest.param(Dialect.PHP, "127.0.0.1", id="php"),
        pytest.param(Dialect.BOTOCORE, "192.0.2.1", id="remote"),
    ],
)
def test_not_looked_up(finder: OriginFinder, dialect: Dialect, host: str, own: Peer) -> None:
    """Senders that close their socket after each datagram, and those of other hosts, are not looked up."""
    event = ApiCall(dialect=dialect, service="S3", api="ListBuckets")
    peer = finder.note(event, Peer(host, own.port), received_ns=0, now=0.0)

    assert peer == Peer(host, own.port)
    assert (finder.is_resolving(peer), finder.origin_of(peer)) == (False, None)


def test_without_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: Peer) -> None:
    """Without /proc nothing is looked up, and nothing waits."""
    monkeypatch.setattr(sockets, "_PROC", tmp_path)
    with closing(OriginFinder()) as finder:
        peer = note(finder, own)
        assert finder.fileno() >= 0
        finder.poll(now=0.0, is_drained=True)
        finder.stop()

    assert not finder.is_available
    assert peer == own
    assert (finder.is_resolving(peer), finder.origin_of(peer), finder.ended()) == (False, None, [])


@on_linux
def test_a_failure_ends_the_waits(monkeypatch: pytest.MonkeyPatch, own: Peer) -> None:
    """If lookups fail altogether, their results are unknown."""

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Search, "check_likely", fail)
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    with closing(OriginFinder()) as finder:
        assert answer(finder, note(finder, own)) is None
        finder.stop()


@on_linux
def test_a_process_that_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It must only exist when its datagram is noted; its end is reported, though it was not observed."""
    monkeypatch.setattr("csm_otel.intake.glances._LATEST_PIDS", 10_000)  # other processes may start as many in between
    start = Lookup.start
    monkeypatch.setattr(Lookup, "start", lambda _: None)  # it starts too late
    with closing(OriginFinder()) as finder:
        with started(python(SENDER)) as process:
            peer = note(finder, sender_of(next_line(process.stdout)))
        start(finder._lookup)

        found = answer(finder, peer)

        assert found is not None
        assert found.pid == process.pid
        assert [(found, False)] == [(end.origin, end.is_exact) for end in next_ended(finder).processes]
        finder.stop()
