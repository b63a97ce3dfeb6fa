"""Origins of a replay: what the recording told, from then on."""

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


def test_known_once_told() -> None:
    """A peer with a generation is looked for until the recording tells of it, and known then."""
    origins = ReplayedOrigins()
    assert origins.note(EVENT, PEER, received_ns=1, now=0.0) == PEER
    assert (origins.is_resolving(PEER), origins.origin_of(PEER)) == (True, None)

    origins.tell(PEER, ORIGIN)

    assert origins.origin_of(PEER) == ORIGIN


def test_not_looked_for() -> None:
    """Who was not looked for then, and anybody once the recording is over, is not waited for."""
    origins = ReplayedOrigins()
    assert not origins.is_resolving(PEER._replace(generation=0))

    origins.tell_over()

    assert not origins.is_resolving(PEER)


def test_ends_are_told_once() -> None:
    """An end comes out once."""
    origins = ReplayedOrigins()
    end = Ended([ProcessEnd(ORIGIN, 5, is_exact=True)], [PEER])
    origins.tell_end(end)
    assert (origins.ended(), origins.ended()) == ([end], [])


def test_who_is_silent_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many peers a recording tells of, only so many are kept: those that still send."""
    monkeypatch.setattr(replayed_origins, "_MOST", 2)
    origins = ReplayedOrigins()
    first, second, third = (Peer("127.0.0.1", port, 1) for port in (1, 2, 3))
    origins.tell(first, ORIGIN)
    origins.tell(second, ORIGIN)
    origins.note(EVENT, first, received_ns=1, now=0.0)
    origins.tell(third, ORIGIN)
    assert [peer for peer in (first, second, third) if origins.origin_of(peer)] == [first, third]
