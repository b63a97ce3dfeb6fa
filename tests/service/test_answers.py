"""The counts in an answer, which may be any program's."""

from __future__ import annotations

from typing import Any

import pytest

from csm_otel.service.answers import counts_in, no_csm_otel
from csm_otel.tally import Snapshot, Tally, snapshot_of

COUNTS = snapshot_of(Tally(datagrams_received=3, datagrams_dropped_by_kernel=0), events_pending=1)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        pytest.param({}, COUNTS, id="counts"),
        pytest.param({"more": "x"}, COUNTS, id="and more"),
        pytest.param(
            {"datagrams_dropped_by_kernel": None}, COUNTS._replace(datagrams_dropped_by_kernel=None), id="unknown drops"
        ),
        pytest.param({"datagrams_dropped_by_kernel": "x"}, None, id="drops that are no number"),
        pytest.param({"calls": "many"}, None, id="no number"),
        pytest.param({"calls": None}, None, id="nothing"),
        pytest.param({"calls": 1.5}, None, id="a fraction"),
    ],
)
def test_counts(others: dict[str, Any], expected: Snapshot | None) -> None:
    """The counts are those of a snapshot, each of them a whole number."""
    assert expected == counts_in({**COUNTS._asdict(), **others})


def test_no_counts() -> None:
    """Without one of them there are none."""
    assert counts_in({}) is None


def test_the_line() -> None:
    """Nothing of the answer is in it."""
    assert no_csm_otel("http://h:1") == "http://h:1: what answers there is no csm-otel, or an older one"
