"""The soak's replay, for minutes of a recording: everything is delivered."""

from __future__ import annotations

from platforms import on_linux

from soak import history
from soak.table import missed


@on_linux
def test_a_long_recording_is_delivered_whole() -> None:
    """Each call and attempt of a recording that is written while it is replayed arrives."""
    assert not missed(history.replayed(hours=0.02, calls_per_second=20))
