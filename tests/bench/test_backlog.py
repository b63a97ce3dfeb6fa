"""benchmarks/e2e/backlog.py: which runs did not sustain their rate, and why."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.e2e.backlog import Observed


def observed(**changed: Any) -> Observed:
    """Return what is seen of a program that keeps up with 1,000 a second for 4 s."""
    seen: dict[str, Any] = {
        "sent": 4000,
        "seconds": 4.0,
        "late_seconds": 0.002,
        "dropped": 0,
        "queued": [(number / 10, 2000) for number in range(40)],
        "arrived": [(number / 10 + 0.5, 100) for number in range(40)],
        "delay_seconds": 1.0,
    }
    return Observed(**{**seen, **changed})


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        pytest.param({}, "", id="keeps-up"),
        pytest.param({"arrived": None}, "", id="delivers-nothing"),
        pytest.param({"sent": 0, "arrived": []}, "nothing sent", id="a-rate-that-is-too-low"),
        pytest.param({"late_seconds": 0.5}, "senders late", id="senders"),
        pytest.param({"dropped": 1}, "kernel drops", id="drops"),
        pytest.param({"queued": [(at / 10, at * 10_000) for at in range(40)]}, "receive queue", id="growing-queue"),
        pytest.param({"queued": [(0.0, 900_000), (3.9, 0)]}, "", id="a-queue-that-is-gone"),
        pytest.param({"arrived": [(1.0, 3999)]}, "spans lost", id="loss"),
        pytest.param({"arrived": [(1.0, 3900), (6.0, 100)]}, "late delivery", id="late"),
        pytest.param({"arrived": [(1.0, 3990), (6.0, 10)]}, "", id="a-few-are-late"),
    ],
)
def test_faults(changed: dict[str, Any], fault: str) -> None:
    """A run counts only if nothing was lost, waits or grows."""
    assert fault == observed(**changed).fault()
