"""Ids: random ones, and those of a seed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from csm_otel.spans.ids import IdGenerator, RandomIds, SeededIds

_AFTER_A_FORK = """
import os
from csm_otel.spans.ids import RandomIds
ids = RandomIds()
ids.generate_trace_id()
if pid := os.fork():
    os.waitpid(pid, 0)
print(ids.generate_trace_id(), flush=True)
"""


def some(ids: IdGenerator) -> list[int]:
    """Return a hundred trace ids, then a hundred span ids."""
    return [*(ids.generate_trace_id() for _ in range(100)), *(ids.generate_span_id() for _ in range(100))]


@pytest.mark.parametrize("ids", [pytest.param(RandomIds(), id="random"), pytest.param(SeededIds(1), id="seeded")])
def test_ids_are_ids(ids: IdGenerator) -> None:
    """They are not zero, do not repeat, and fill their 128 and 64 bits."""
    values = some(ids)

    assert len(set(values)) == len(values)
    assert all(0 < one < 2**128 for one in values[:100])
    assert all(0 < one < 2**64 for one in values[100:])
    assert max(values[:100]) >= 2**127
    assert max(values[100:]) >= 2**63


def test_the_same_seed_gives_the_same_ids() -> None:
    """Ids follow from the seed, and another seed has others."""
    assert some(SeededIds(7)) == some(SeededIds(7))
    assert not set(some(SeededIds(7))) & set(some(SeededIds(8)))


def test_random_ids_differ_from_run_to_run() -> None:
    """Two generators share no id."""
    assert not set(some(RandomIds())) & set(some(RandomIds()))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes fork")
def test_a_forked_process_has_ids_of_its_own() -> None:
    """A child does not repeat the ids of its parent."""
    done = subprocess.run([sys.executable, "-c", _AFTER_A_FORK], capture_output=True, text=True, check=True)

    first, second = done.stdout.split()
    assert first != second


def test_zero_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zero is not an id: another one is drawn."""
    drawn = iter([0, 0, 5, 0, 6])
    monkeypatch.setattr("random.getrandbits", lambda _bits: next(drawn))

    assert (RandomIds().generate_trace_id(), RandomIds().generate_span_id()) == (5, 6)
