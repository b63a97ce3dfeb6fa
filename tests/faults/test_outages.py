"""The soak's outages, for seconds: what waits for a back end is neither lost nor doubled, and all of it is counted."""

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
    """Let spans wait in memory, or on disk."""
    return ("--spool", tmp_path / "spool") if request.param == "spool" else ()


def test_a_back_end_that_was_away_gets_everything_once(flags: tuple[str | Path, ...]) -> None:
    """After an outage nothing is lost, and nothing comes twice."""
    assert not missed(outages.refused(seconds=0.5, per_second=400, delay_ms=50, flags=flags))


def test_a_network_that_fails_loses_nothing(flags: tuple[str | Path, ...]) -> None:
    """Cut, reset and stalled connections lose nothing; what comes twice has the same id and is counted."""
    assert not missed(outages.faulty(seconds=2, per_second=150, flags=flags))


def test_kill_in_an_outage_loses_only_what_was_not_on_disk_yet(tmp_path: Path) -> None:
    """The next process delivers everything that the spool of a killed one held."""
    assert not missed(outages.killed(seconds=1, per_second=300, folder=tmp_path))


@on_linux
def test_a_full_spool_drops_the_oldest_and_counts_them(tmp_path: Path) -> None:
    """Beyond its bound the oldest go, each is counted, and the files do not grow."""
    assert not missed(outages.long(minutes=0.03, per_second=5000, folder=tmp_path))


def test_the_bars_can_be_missed() -> None:
    """A queue of too few spans loses some, and the scenario says so."""
    few = ("--queue-bytes", "1048576")
    rows = outages.refused(seconds=1, per_second=8000, within_seconds=0, give_up_seconds=1, flags=few)
    assert [row.is_held for row in rows] == [False, True, False, True]
