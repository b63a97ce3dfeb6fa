"""A run as a whole in words."""

from __future__ import annotations

import pytest

from csm_otel.report.totals import counts_of, times_of, uncertain
from csm_otel.summary.model import Times, Totals, Uncertainty

NONE = dict.fromkeys(Totals.__struct_fields__, 0)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param({"calls": 2, "reads": 2}, "all of them read", id="reads"),
        pytest.param({"calls": 2, "changes": 2}, "all of them change something", id="changes"),
        pytest.param(
            {"calls": 1_002, "reads": 1_000, "changes": 2, "failed": 1, "not_sent": 1},
            "1,000 read, 2 change something; 1 failed, 1 with NO REQUEST SENT",
            id="both",
        ),
        pytest.param(
            {"calls": 1, "reads": 1, "retried": 3, "throttled": 2, "identity_calls": 1},
            "all of them read; 3 retried, 2 throttled, 1 about identity or credentials",
            id="others",
        ),
        pytest.param({"calls": 3, "reads": 2}, "2 read, 0 change something", id="one-beyond-the-bound"),
    ],
)
def test_counts(counts: dict[str, int], expected: str) -> None:
    """What is zero is left out."""
    assert counts_of(Totals(**{**NONE, **counts})) == expected


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        pytest.param((1_000, 430, 0, 0, 1), "430 ms of 1.00 s in AWS calls", id="least"),
        pytest.param(
            (1_000, 430, 20, 100, 4),
            "430 ms of 1.00 s in AWS calls, 100 ms before the first, 20 ms in back-off, at most 4 at once",
            id="all",
        ),
    ],
)
def test_times(times: tuple[int, ...], expected: str) -> None:
    """What is zero is left out."""
    assert times_of(Times(**dict(zip(Times.__struct_fields__, times, strict=True)))) == expected


def test_uncertain() -> None:
    """Only what is not zero is said."""
    uncertainty = Uncertainty(attempts_missing=2, ambiguous=0, orphans=1, operations_left_out=0, failures_left_out=0)
    assert list(uncertain(uncertainty)) == [
        ("Attempts that were not seen", 2),
        ("Attempts whose call was not seen", 1),
    ]
