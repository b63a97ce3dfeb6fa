"""A moment's counts on one line."""

from __future__ import annotations

from collections import Counter

import pytest

from csm_otel.report.status import render_status
from csm_otel.tally import Tally, snapshot_of


@pytest.mark.parametrize(
    ("tally", "expected"),
    [
        pytest.param(
            Tally(),
            "0 datagrams received, kernel drops unknown, 0 malformed, 0 events pending, "
            "0 spans delivered, 0 waiting, 0 dropped",
            id="nothing",
        ),
        pytest.param(
            Tally(
                datagrams_received=1,
                datagrams_dropped_by_kernel=2000,
                malformed=Counter(no_json=3),
                spans_created=10,
                spans_delivered=1,
                spans_dropped=Counter(refused=4),
                spans_rejected=2,
                spans_shown=1,
            ),
            "1 datagram received, 2,000 dropped by the kernel, 3 malformed, 0 events pending, "
            "1 span delivered, 2 waiting, 4 dropped, 2 rejected, 1 sent nowhere",
            id="everything",
        ),
    ],
)
def test_line(tally: Tally, expected: str) -> None:
    """What is always there comes first; what is unusual only where there is any."""
    assert expected == render_status(snapshot_of(tally, events_pending=0))
