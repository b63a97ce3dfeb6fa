"""The soak's outages, for seconds: queued spans are neither lost nor duplicated, and all of them are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from platforms import on_linux

from soak import outages
from soak.table import missed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["memory", "spool"])
def flags(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str | Path, ...]:
    """Queue spans in memory, or on disk."""
    return ("--spool", tmp_path / "spool") if request.param == "spool" else ()


def test_everything_is_delivered_once_after_an_outage(flags: tuple[str | Path, ...]) -> None:
    """After an outage nothing is lost, and nothing is delivered twice."""
    assert not missed(outages.refused(seconds=0.5, per_second=400, delay_ms=50, flags=flags))


def test_a_failing_network_loses_nothing(flags: tuple[str | Path, ...]) -> None:
    """Cut, reset and stalled connections lose nothing; a span delivered twice has the same id and is counted."""
    assert not missed(outages.faulty(seconds=2, per_second=150, flags=flags))


def test_a_kill_in_an_outage_loses_only_spans_in_memory(tmp_path: Path) -> None:
    """The next process delivers everything in the spool of a killed one."""
    assert not missed(outages.killed(seconds=1, per_second=300, folder=tmp_path))


@on_linux
def test_a_full_spool_drops_the_oldest_and_counts_them(tmp_path: Path) -> None:
    """Beyond its bound the oldest are dropped, each is counted, and the files do not grow."""
    assert not missed(outages.long(minutes=0.03, per_second=5000, folder=tmp_path))


def test_a_bar_can_be_missed() -> None:
    """A queue for too few spans loses some, and the scenario reports it."""
    few = ("--queue-bytes", "1048576")
    rows = outages.refused(seconds=1, per_second=8000, within_seconds=0, give_up_seconds=1, flags=few)
    assert [row.is_held for row in rows] == [False, True, False, True]
