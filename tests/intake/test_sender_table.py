"""Generations of peers on numbers: their duration, their successors, and their origins."""

from __future__ import annotations

import pytest

from csm_otel.csm.events import Origin, Peer, ProcessEnd
from csm_otel.intake.sender_table import SILENCE_SECONDS, SenderTable

PEER, OTHER_PEER = Peer("127.0.0.1", 40_000), Peer("127.0.0.1", 40_001)
ORIGIN = Origin(pid=7, start_ticks=70, start_ns=0, name="nightly.py")
END = ProcessEnd(ORIGIN, noticed_ns=500, is_exact=True)


def current(table: SenderTable, now: float = 0.0, *, peer: Peer = PEER, received_ns: int = 0) -> Peer | None:
    """Return the current generation of a peer."""
    return table.current(peer, received_ns=received_ns, now=now)


def test_an_unknown_peer() -> None:
    """A peer that never sent has no generation, and nothing is known of it."""
    table = SenderTable()

    assert current(table) is None
    assert (table.is_resolving(PEER), table.origin_of(PEER)) == (False, None)


def test_a_generation() -> None:
    """It keeps the address, differs from every other one, and is resolving until its lookup has ended."""
    table = SenderTable()
    first, other = table.begin(PEER, now=0.0), table.begin(OTHER_PEER, now=0.0)

    assert (first[:2], other[:2]) == (PEER[:2], OTHER_PEER[:2])
    assert len({first.generation, other.generation, 0}) == 3
    assert (table.is_resolving(first), table.origin_of(first)) == (True, None)
    table.resolve(first, ORIGIN)
    table.resolve(other, None)
    assert (table.is_resolving(first), table.origin_of(first)) == (False, ORIGIN)
    assert (table.is_resolving(other), table.origin_of(other)) == (False, None)


@pytest.mark.parametrize(
    ("origin", "received_at", "goes_on"),
    [
        pytest.param(ORIGIN, [0.0, 5.0, 10.0, 15.0], True, id="keeps-sending"),
        pytest.param(ORIGIN, [5.1], False, id="silence"),
        pytest.param(ORIGIN, [4.0, 9.1], False, id="silence-after-a-while"),
        pytest.param(None, [3.0, 5.0], True, id="not-found"),
        pytest.param(None, [3.0, 5.1], False, id="not-found-and-tried-again"),
    ],
)
def test_its_duration(origin: Origin | None, received_at: list[float], *, goes_on: bool) -> None:
    """A generation lasts until five seconds of silence; without a process five seconds in all."""
    assert SILENCE_SECONDS == 5
    table = SenderTable()
    peer = table.begin(PEER, now=0.0)
    table.resolve(peer, origin)

    *before, last = [current(table, now) for now in received_at]

    assert before == [peer] * len(before)
    assert last == (peer if goes_on else None)


def test_the_former_generation_keeps_its_origin() -> None:
    """When another process gets the port, earlier datagrams stay their sender's."""
    table = SenderTable()
    former = table.begin(PEER, now=0.0)
    table.resolve(former, ORIGIN)
    later = table.begin(PEER, now=10.0)

    assert former != later
    assert current(table, 10.0) == later
    assert (table.origin_of(former), table.origin_of(later)) == (ORIGIN, None)
    assert (table.is_resolving(former), table.is_resolving(later)) == (False, True)


@pytest.mark.parametrize(
    ("received_ns", "goes_on"),
    [pytest.param(499, True, id="before"), pytest.param(500, True, id="at"), pytest.param(501, False, id="after")],
)
def test_an_ended_process_sends_no_more(received_ns: int, *, goes_on: bool) -> None:
    """Datagrams received after the end of a generation's process are another sender's."""
    table = SenderTable()
    peer = table.begin(PEER, now=0.0)
    table.resolve(peer, ORIGIN)
    table.end(END)

    assert current(table, received_ns=received_ns) == (peer if goes_on else None)
    assert table.origin_of(peer) == ORIGIN


def test_the_end_of_another_process() -> None:
    """A process with the same pid that started at another time does not end the generation."""
    table = SenderTable()
    peer = table.begin(PEER, now=0.0)
    table.resolve(peer, ORIGIN)
    table.end(END._replace(origin=Origin(pid=7, start_ticks=71, start_ns=0, name="other")))

    assert current(table, received_ns=501) == peer


def test_its_capacity() -> None:
    """Beyond the capacity the generation that was silent longest is forgotten, and its late resolution ignored."""
    table = SenderTable(capacity=2)
    first = table.begin(PEER, now=0.0)
    second = table.begin(OTHER_PEER, now=1.0)
    assert current(table, 2.0) == first

    third_peer = Peer("127.0.0.1", 40_002)
    third = table.begin(third_peer, now=3.0)
    table.resolve(second, ORIGIN)

    assert current(table, 3.0, peer=OTHER_PEER) is None
    assert (table.is_resolving(second), table.origin_of(second)) == (False, None)
    assert [current(table, 3.0, peer=peer) for peer in (PEER, third_peer)] == [first, third]


def test_a_former_generation_is_forgotten_first() -> None:
    """Forgetting a former generation of a port leaves the current one."""
    table = SenderTable(capacity=2)
    former = table.begin(PEER, now=0.0)
    table.resolve(former, ORIGIN)
    later = table.begin(PEER, now=10.0)
    table.begin(OTHER_PEER, now=10.0)

    assert table.origin_of(former) is None
    assert current(table, 10.0) == later


def test_a_flood_of_ports() -> None:
    """However many ports there are, a sender that keeps sending is remembered."""
    table = SenderTable(capacity=100)
    peer = table.begin(PEER, now=0.0)
    for port in range(1000):
        table.begin(Peer("127.0.0.2", port), now=0.0)
        assert current(table) == peer
    assert len(table._senders) == len(table._current) == 100


def test_ends_are_bounded() -> None:
    """Of the ends of processes the oldest are forgotten."""
    table = SenderTable(capacity=10)
    for pid in range(1000):
        table.end(END._replace(origin=Origin(pid=pid, start_ticks=1, start_ns=0, name="short.py")))
    assert list(table._ended_ns) == [(pid, 1) for pid in range(990, 1000)]
