"""Origins of a replay: known from their line in the recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datagrams import call

from csm_otel.csm.decoding import decode
from csm_otel.csm.events import Ended, Origin, Peer, ProcessEnd
from csm_otel.files import replayed_origins
from csm_otel.files.replayed_origins import ReplayedOrigins

if TYPE_CHECKING:
    import pytest

(EVENT,) = decode(call()).events
PEER = Peer("127.0.0.1", 40_000, 1)
ORIGIN = Origin(pid=7, start_ticks=1, start_ns=0, name="seven.py")


def test_known_once_recorded() -> None:
    """A peer with a generation is waited for until its origin is read, and known then."""
    origins = ReplayedOrigins()
    assert origins.note(EVENT, PEER, received_ns=1, now=0.0) == PEER
    assert (origins.is_resolving(PEER), origins.origin_of(PEER)) == (True, None)

    origins.add_origin(PEER, ORIGIN)

    assert origins.origin_of(PEER) == ORIGIN


def test_not_looked_up() -> None:
    """A peer that was not looked up, and any peer once the recording is over, is not waited for."""
    origins = ReplayedOrigins()
    assert not origins.is_resolving(PEER._replace(generation=0))

    origins.finish()

    assert not origins.is_resolving(PEER)


def test_ends_are_returned_once() -> None:
    """Each end is returned by one call."""
    origins = ReplayedOrigins()
    end = Ended([ProcessEnd(ORIGIN, 5, is_exact=True)], [PEER])
    origins.add_end(end)
    assert (origins.ended(), origins.ended()) == ([end], [])


def test_silent_peers_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many peers a recording has, only a bounded number is kept: the latest ones."""
    monkeypatch.setattr(replayed_origins, "_MAX_PEERS", 2)
    origins = ReplayedOrigins()
    first, second, third = (Peer("127.0.0.1", port, 1) for port in (1, 2, 3))
    origins.add_origin(first, ORIGIN)
    origins.add_origin(second, ORIGIN)
    origins.note(EVENT, first, received_ns=1, now=0.0)
    origins.add_origin(third, ORIGIN)
    assert [peer for peer in (first, second, third) if origins.origin_of(peer)] == [first, third]
