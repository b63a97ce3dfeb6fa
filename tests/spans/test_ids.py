"""Ids from a seed."""

from __future__ import annotations

from csm_otel.spans.ids import SeededIds


def _some(seed: int) -> list[int]:
    ids = SeededIds(seed)
    return [*(ids.generate_trace_id() for _ in range(100)), *(ids.generate_span_id() for _ in range(100))]


def test_the_same_seed_gives_the_same_ids() -> None:
    """Ids follow from the seed, and another seed has others."""
    assert _some(7) == _some(7)
    assert not set(_some(7)) & set(_some(8))


def test_ids_are_ids() -> None:
    """They are not zero, do not repeat, and fill their 128 and 64 bits."""
    ids = _some(1)
    assert len(set(ids)) == len(ids)
    assert all(0 < one < 2**128 for one in ids[:100])
    assert all(0 < one < 2**64 for one in ids[100:])
    assert max(ids[:100]) >= 2**127
    assert max(ids[100:]) >= 2**63
