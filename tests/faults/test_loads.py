"""The soak's loads, for seconds: garbage, a pause, a stop under load; every datagram and span is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from platforms import on_linux

from soak import loads
from soak.table import missed

if TYPE_CHECKING:
    from pathlib import Path


@on_linux
def test_damaged_datagrams_are_counted_and_nothing_else() -> None:
    """With any input the daemon continues, and its counts add up."""
    assert not missed(loads.fuzzed(count=4_000))


@on_linux
@pytest.mark.parametrize(
    ("count", "buffer_bytes", "loses"),
    [pytest.param(150, 4_194_304, False, id="large buffer"), pytest.param(1000, 106_496, True, id="Linux's default")],
)
def test_a_pause_overflows_the_buffer(count: int, buffer_bytes: int, *, loses: bool) -> None:
    """Datagrams that arrive while the daemon is stopped are received, or counted as dropped by the kernel."""
    assert not missed(loads.paused(count=count, buffer_bytes=buffer_bytes, loses=loses))


@pytest.mark.parametrize("waits", ["memory", "spool"])
def test_an_end_under_load_counts_every_span(waits: str, tmp_path: Path) -> None:
    """If stopped while datagrams arrive and the back end is slow, every span created is in one count."""
    rows = loads.terminated(
        seconds=1,
        per_second=500,
        answer_seconds=0.5,
        drain_seconds=1,
        folder=tmp_path if waits == "spool" else None,
    )
    assert not missed(rows)
