"""Where spans lie."""

from __future__ import annotations

import pytest
from datagrams import BASE_MS
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.correlation.released import Observed
from csm_otel.csm.events import ApiCall, ApiCallAttempt, Dialect, Peer
from csm_otel.csm.times import NS_PER_MS, interval_of
from csm_otel.spans.timing import Placement, clock_offset_ns, place_attempt

MINUTE_MS = 60 * 1000
DAY_MS = 24 * 60 * MINUTE_MS
CALL = Placement(100 * NS_PER_MS, 130 * NS_PER_MS)


def attempt_at(start_ns: int, end_ns: int) -> Observed[ApiCallAttempt]:
    """Return an attempt with these times."""
    return Observed(
        event=ApiCallAttempt(dialect=Dialect.BOTOCORE, service="S3", api="A"),
        peer=Peer("127.0.0.1", 1),
        received_ns=end_ns,
        start_ns=start_ns,
        end_ns=end_ns,
        match_start_ns=start_ns,
        match_end_ns=end_ns,
    )


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        pytest.param(105, 120, (105, 120, None), id="inside"),
        pytest.param(100, 130, (100, 130, None), id="the-whole-call"),
        pytest.param(98, 120, (100, 122, None), id="rounding-before-is-shifted"),
        pytest.param(110, 132, (108, 130, None), id="rounding-after-is-shifted"),
        pytest.param(99, 131, (100, 130, None), id="longer-than-the-call-is-cut"),
        pytest.param(97, 120, (97, 120, 3), id="overrun-before"),
        pytest.param(110, 231, (110, 231, 101), id="overrun-after-js"),
        pytest.param(90, 135, (90, 135, 10), id="overrun-both-the-larger-counts"),
        pytest.param(132, 132, (130, 130, None), id="a-point-just-after"),
        pytest.param(98, 98, (100, 100, None), id="a-point-just-before"),
    ],
)
def test_place(start: int, end: int, expected: tuple[int, int, int | None]) -> None:
    """An overrun of up to 2 ms is rounding and is shifted away; a longer one is kept and recorded."""
    placed = place_attempt(attempt_at(start * NS_PER_MS, end * NS_PER_MS), CALL)

    assert (placed.start_ns // NS_PER_MS, placed.end_ns // NS_PER_MS, placed.overrun_ms) == expected


@pytest.mark.parametrize(
    ("stamp", "latency", "received", "offset"),
    [
        pytest.param(0, 30, 31, 0, id="believed"),
        pytest.param(0, 30, DAY_MS, 0, id="a-day-back-is-believed"),
        pytest.param(0, 30, DAY_MS + 1, DAY_MS + 1 - 30, id="more-than-a-day-back"),
        pytest.param(5 * MINUTE_MS, 30, 0, 0, id="5-minutes-ahead-are-believed"),
        pytest.param(5 * MINUTE_MS + 1, 30, 0, -(5 * MINUTE_MS + 1) - 30, id="more-than-5-minutes-ahead"),
        pytest.param(0, None, 3 * DAY_MS, 3 * DAY_MS, id="no-length-and-days-back"),
        pytest.param(None, 30, DAY_MS * 9, 0, id="no-stamp-is-placed-by-receipt-already"),
    ],
)
def test_clock_offset(stamp: int | None, latency: int | None, received: int, offset: int) -> None:
    """A clock more than a day behind or 5 minutes ahead is not believed: the call then ends at its receipt."""
    call = ApiCall(
        dialect=Dialect.BOTOCORE,
        service="S3",
        api="A",
        timestamp_ms=None if stamp is None else BASE_MS + stamp,
        latency_ms=latency,
    )
    received_ns = (BASE_MS + received) * NS_PER_MS
    start_ns, end_ns = interval_of(call, received_ns=received_ns)
    observed = Observed(
        event=call,
        peer=Peer("127.0.0.1", 1),
        received_ns=received_ns,
        start_ns=start_ns,
        end_ns=end_ns,
        match_start_ns=start_ns,
        match_end_ns=end_ns,
    )

    assert clock_offset_ns(observed) == offset * NS_PER_MS
    assert offset == 0 or end_ns + clock_offset_ns(observed) == received_ns


times = st.integers(0, 200).map(NS_PER_MS.__mul__)


@given(start=times, length=times, call_start=times, call_length=times)
def test_attempts_nest_or_say_so(start: int, length: int, call_start: int, call_length: int) -> None:
    """An attempt lies in its call or carries how far it does not, and never ends before it starts."""
    call = Placement(call_start, call_start + call_length)

    placed = place_attempt(attempt_at(start, start + length), call)

    inside = call.start_ns <= placed.start_ns and placed.end_ns <= call.end_ns
    assert inside is (placed.overrun_ms is None)
    assert placed.start_ns <= placed.end_ns
    assert inside or (placed.start_ns, placed.end_ns) == (start, start + length)
