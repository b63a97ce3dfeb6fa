"""What waits in memory: in order, bounded, and what somebody has in hand stays."""

from __future__ import annotations

from csm_otel.delivery.memory import Memory, Waiting


def put(memory: Memory, *requests: bytes) -> list[bytes]:
    """Put requests of one span each and return those that were pushed out."""
    return [gone.request for request in requests for gone in memory.put(Waiting(request, 1))]


def test_the_oldest_go_but_for_what_is_taken() -> None:
    """Beyond the bound the oldest are pushed out; those that are taken stay until they are given back."""
    memory = Memory(limit_bytes=6, limit_spans=None)
    assert put(memory, b"aa", b"bb", b"cc", b"dd") == [b"aa"]
    assert [waiting.request for waiting in memory.take(2)] == [b"bb", b"cc"]
    assert put(memory, b"ee", b"ff") == [b"dd", b"ee"]
    memory.give_back()
    assert put(memory, b"gg") == [b"bb"]
    assert [waiting.request for waiting in memory.first(9)] == [b"cc", b"ff", b"gg"]


def test_the_bound_on_spans() -> None:
    """Spans are bounded as well, where that is asked for."""
    memory = Memory(limit_bytes=100, limit_spans=2)
    assert put(memory, b"a", b"b", b"c") == [b"a"]
    assert (memory.fits(b"x", 2), memory.fits(b"x", 3), memory.is_half_empty) == (True, False, False)


def test_halves_take_the_place_of_the_first() -> None:
    """What is split stays first, in order."""
    memory = Memory(limit_bytes=100, limit_spans=None)
    put(memory, b"ab", b"c")
    memory.replace_first([(b"a", 1), (b"b", 1)])
    assert [waiting.request for waiting in memory.first(9)] == [b"a", b"b", b"c"]
