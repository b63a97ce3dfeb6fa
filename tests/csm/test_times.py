"""The start and end of events."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from csm_otel.csm.events import ApiCall, ApiCallAttempt, Dialect, Event
from csm_otel.csm.times import NS_PER_MS, TimestampMode, interval_of

DAY_MS = 24 * 60 * 60 * 1000


def call(dialect: Dialect = Dialect.BOTOCORE, *, stamp: int | None, latency: int | None) -> ApiCall:
    """Return a call with these times, in ms."""
    return ApiCall(dialect=dialect, service="S3", api="GetObject", timestamp_ms=stamp, latency_ms=latency)


def attempt(dialect: Dialect = Dialect.BOTOCORE, *, stamp: int | None, latency: int | None) -> ApiCallAttempt:
    """Return an attempt with these times, in ms."""
    return ApiCallAttempt(dialect=dialect, service="S3", api="GetObject", timestamp_ms=stamp, latency_ms=latency)


Make = Callable[..., Event]
START_STAMPED = sorted(set(Dialect) - {Dialect.GO, Dialect.UNKNOWN})


@pytest.mark.parametrize("dialect", START_STAMPED)
@pytest.mark.parametrize("make", [call, attempt], ids=["call", "attempt"])
def test_stamp_is_the_start(dialect: Dialect, make: Make) -> None:
    """Every SDK but Go sends the start, however late the datagram arrives."""
    event = make(dialect, stamp=1_000_000, latency=880)

    expected = (1_000_000 * NS_PER_MS, 1_000_880 * NS_PER_MS)
    assert expected == interval_of(event, received_ns=1_000_880 * NS_PER_MS)
    assert expected == interval_of(event, received_ns=1_000_000 * NS_PER_MS)


@pytest.mark.parametrize("make", [call, attempt], ids=["call", "attempt"])
def test_go_stamps_the_end(make: Make) -> None:
    """Go's Timestamp is the moment of reporting, for calls and attempts alike."""
    event = make(Dialect.GO, stamp=1_000_744, latency=744)

    start_ns, end_ns = interval_of(event, received_ns=0)

    assert start_ns == 1_000_000 * NS_PER_MS
    assert end_ns == 1_000_744 * NS_PER_MS


@pytest.mark.parametrize(
    ("event", "received_ms", "expected_ms"),
    [
        pytest.param(call(stamp=None, latency=50), 1000, (950, 1000), id="no-stamp"),
        pytest.param(call(stamp=None, latency=None), 1000, (1000, 1000), id="no-time-at-all"),
        pytest.param(call(stamp=900, latency=None), 1000, (900, 1000), id="call-without-latency-ends-at-receipt"),
        pytest.param(call(stamp=1100, latency=None), 1000, (1100, 1100), id="clock-stepped-back"),
        pytest.param(call(stamp=1, latency=None), 1 + DAY_MS, (1, 1 + DAY_MS), id="a-day-is-believed"),
        pytest.param(call(stamp=1, latency=None), 2 + DAY_MS, (1, 1), id="more-than-a-day-is-not"),
        pytest.param(attempt(stamp=900, latency=None), 1000, (900, 900), id="attempt-without-latency-is-a-point"),
        pytest.param(attempt(Dialect.RUBY, stamp=None, latency=None), 1000, (1000, 1000), id="ruby-not-sent"),
        pytest.param(call(Dialect.GO, stamp=900, latency=None), 1000, (900, 900), id="go-without-latency"),
        pytest.param(call(Dialect.UNKNOWN, stamp=1000, latency=500), 1001, (500, 1000), id="unknown-by-receipt-end"),
        pytest.param(call(Dialect.UNKNOWN, stamp=500, latency=500), 1001, (500, 1000), id="unknown-by-receipt-start"),
        pytest.param(call(Dialect.UNKNOWN, stamp=1000, latency=19), 1000, (1000, 1019), id="unknown-too-short"),
        pytest.param(call(Dialect.UNKNOWN, stamp=800, latency=500), 1001, (800, 1300), id="unknown-in-between"),
    ],
)
def test_missing_times_come_from_the_receipt(event: Event, received_ms: int, expected_ms: tuple[int, int]) -> None:
    """Missing times are derived from the receipt, and no interval ends before it starts."""
    start_ns, end_ns = interval_of(event, received_ns=received_ms * NS_PER_MS)

    assert expected_ms == (start_ns // NS_PER_MS, end_ns // NS_PER_MS)


@pytest.mark.parametrize("dialect", sorted(Dialect))
def test_the_mode_overrides_the_dialect(dialect: Dialect) -> None:
    """A mode other than auto applies to every sender."""
    event = call(dialect, stamp=1000, latency=100)

    start = interval_of(event, received_ns=0, mode=TimestampMode.START)
    end = interval_of(event, received_ns=0, mode=TimestampMode.END)

    assert start == (1000 * NS_PER_MS, 1100 * NS_PER_MS)
    assert end == (900 * NS_PER_MS, 1000 * NS_PER_MS)
