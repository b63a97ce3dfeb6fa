"""Requests in memory: in order, bounded, and those that are pinned stay."""

from __future__ import annotations

from csm_otel.delivery.memory import Memory, QueuedRequest


def put(memory: Memory, *requests: bytes) -> list[bytes]:
    """Put requests of one span each and return those that were evicted."""
    return [gone.request for request in requests for gone in memory.put(QueuedRequest(request, 1))]


def test_the_oldest_are_evicted_but_for_those_pinned() -> None:
    """Beyond the bound the oldest are evicted; those that are pinned stay until they are unpinned."""
    memory = Memory(limit_bytes=6, limit_spans=None)
    assert put(memory, b"aa", b"bb", b"cc", b"dd") == [b"aa"]
    assert [queued.request for queued in memory.pin(2)] == [b"bb", b"cc"]
    assert put(memory, b"ee", b"ff") == [b"dd", b"ee"]
    memory.unpin()
    assert put(memory, b"gg") == [b"bb"]
    assert [queued.request for queued in memory.first(9)] == [b"cc", b"ff", b"gg"]


def test_the_bound_on_spans() -> None:
    """Spans are bounded as well, if requested."""
    memory = Memory(limit_bytes=100, limit_spans=2)
    assert put(memory, b"a", b"b", b"c") == [b"a"]
    assert (memory.fits(b"x", 2), memory.fits(b"x", 3), memory.is_half_empty) == (True, False, False)


def test_halves_take_the_place_of_the_first() -> None:
    """Halves stay first, in order."""
    memory = Memory(limit_bytes=100, limit_spans=None)
    put(memory, b"ab", b"c")
    memory.replace_first([(b"a", 1), (b"b", 1)])
    assert [queued.request for queued in memory.first(9)] == [b"a", b"b", b"c"]
