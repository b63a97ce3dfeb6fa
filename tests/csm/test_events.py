"""The values that decoding returns: what they know about themselves, and which bounds a reader of them enforces."""

from __future__ import annotations

import msgspec
import pytest

from csm_otel.csm.events import (
    COUNT_LIMIT,
    HIGHEST_STATUS,
    LOWEST_STATUS,
    MAX_LATENCY_MS,
    MAX_TIMESTAMP_MS,
    THROTTLING_ERRORS,
    ApiCall,
    ApiCallAttempt,
    Dialect,
    Event,
    Failure,
    Latencies,
    Origin,
    Peer,
)

CALL = ApiCall(dialect=Dialect.GO, service="S3", api="GetObject")
ATTEMPT = ApiCallAttempt(dialect=Dialect.GO, service="S3", api="GetObject")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        pytest.param("127.0.0.1", True, id="ipv4"),
        pytest.param("127.8.9.10", True, id="all-of-127/8"),
        pytest.param("::1", True, id="ipv6"),
        pytest.param("10.0.0.1", False, id="private-network"),
        pytest.param("1127.0.0.1", False, id="only-the-end-of-it"),
        pytest.param("::2", False, id="another-ipv6"),
        pytest.param("", False, id="empty"),
    ],
)
def test_loopback_peers(host: str, *, expected: bool) -> None:
    """A peer is on this machine when its address is a loopback address."""
    assert Peer(host, 40_000).is_loopback is expected


def test_a_reused_port_is_another_peer() -> None:
    """Generations of a port distinguish its processes."""
    assert Peer("::1", 1, 1) != Peer("::1", 1, 2)
    assert Peer("::1", 1) == Peer("::1", 1, 0)


def test_a_reused_pid_is_another_process() -> None:
    """A process is identified by its pid and its start, not by how it is called."""
    first = Origin(pid=7, start_ticks=100, start_ns=1, name="etl")

    assert first.process == Origin(pid=7, start_ticks=100, start_ns=2, name="renamed").process
    assert first.process != Origin(pid=7, start_ticks=101, start_ns=1, name="etl").process


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        pytest.param({}, False, id="nothing"),
        pytest.param({"attempt_count": 1}, False, id="a-count-only"),
        pytest.param({"status": 200}, True, id="status"),
        pytest.param({"aws_exception": Failure("AccessDenied", "")}, True, id="aws-exception"),
        pytest.param({"sdk_exception": Failure("", "")}, True, id="unnamed-sdk-exception"),
    ],
)
def test_has_result(call: dict[str, object], *, expected: bool) -> None:
    """A call has a result where it carries any of its Final* fields, be they empty."""
    assert msgspec.structs.replace(CALL, **call).has_result is expected


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        pytest.param(CALL, {"timestamp_ms": MAX_TIMESTAMP_MS, "latency_ms": MAX_LATENCY_MS}, id="longest"),
        pytest.param(CALL, {"timestamp_ms": 1, "latency_ms": 0, "attempt_count": 0}, id="least"),
        pytest.param(CALL, {"attempt_count": COUNT_LIMIT - 1, "status": HIGHEST_STATUS}, id="highest"),
        pytest.param(ATTEMPT, {"status": LOWEST_STATUS, "not_sent": True}, id="attempt"),
        pytest.param(ATTEMPT, {"latencies": Latencies(dns_ms=3, tls_ms=0)}, id="latencies"),
        pytest.param(ATTEMPT, {"aws_exception": Failure("", "slow"), "connection_reused": False}, id="failure"),
    ],
)
def test_events_survive_serialization(event: Event, fields: dict[str, object]) -> None:
    """An event within its bounds is read back as it was written."""
    written = msgspec.structs.replace(event, **fields)

    assert msgspec.json.decode(msgspec.json.encode(written), type=Event) == written


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        pytest.param(CALL, {"timestamp_ms": 0}, id="timestamp-zero"),
        pytest.param(CALL, {"timestamp_ms": MAX_TIMESTAMP_MS + 1}, id="timestamp-beyond-64-bits"),
        pytest.param(CALL, {"latency_ms": -1}, id="negative-latency"),
        pytest.param(CALL, {"latency_ms": MAX_LATENCY_MS + 1}, id="latency-beyond-a-day"),
        pytest.param(CALL, {"attempt_count": COUNT_LIMIT}, id="count"),
        pytest.param(CALL, {"status": HIGHEST_STATUS + 1}, id="status-600"),
        pytest.param(ATTEMPT, {"status": LOWEST_STATUS - 1}, id="status-99"),
        pytest.param(ATTEMPT, {"latencies": {"dns_ms": -3}}, id="part-of-an-attempt"),
    ],
)
def test_bounds_hold_for_those_who_read_events(event: Event, fields: dict[str, object]) -> None:
    """What decoding would never return is refused when an event is read back."""
    written = msgspec.json.encode(msgspec.to_builtins(event) | fields)

    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(written, type=Event)


def test_the_last_timestamp_fits_64_bits() -> None:
    """The latest end of an event, and a day more, is a signed 64-bit number of nanoseconds."""
    assert (MAX_TIMESTAMP_MS + 2 * MAX_LATENCY_MS) * 1_000_000 < 2**63


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("SlowDown", True, id="s3"),
        pytest.param("ProvisionedThroughputExceededException", True, id="dynamodb"),
        pytest.param("Throttling", True, id="ec2"),
        pytest.param("slowdown", False, id="case-matters"),
        pytest.param("AccessDenied", False, id="another-error"),
        pytest.param("", False, id="none"),
    ],
)
def test_throttling_errors(name: str, *, expected: bool) -> None:
    """Throttling is recognised by the error codes that botocore goes by."""
    assert (name in THROTTLING_ERRORS) is expected
