"""Payloads to events: every dialect, every shape, and no input that breaks decoding."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import strategies
from datagrams import ABSENT, AGENTS, BASE_MS, PHP_CALL_AGENT, TOKEN, attempt, attempt_fields, call, call_fields, encode
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.csm import decoding, wire
from csm_otel.csm.decoding import Decoded, account_of, decode
from csm_otel.csm.events import ApiCall, ApiCallAttempt, Dialect, Event, Failure, Latencies
from csm_otel.errors import MalformedDatagramError

REASONS = {"empty", "not_json", "not_an_object", "too_deep", "unknown_type", "unnamed"}
DAY_MS = 24 * 60 * 60 * 1000


def only(payload: bytes) -> Event:
    """Return the one event that a payload holds."""
    (event,) = decode(payload).events
    return event


def decoded_or_reason(payload: bytes) -> Decoded | str:
    """Return what a payload is decoded to, or why it is malformed."""
    try:
        return decode(payload)
    except MalformedDatagramError as error:
        return error.reason


def only_call(payload: bytes) -> ApiCall:
    """Return the one call that a payload holds."""
    event = only(payload)
    assert isinstance(event, ApiCall)
    return event


def only_attempt(payload: bytes) -> ApiCallAttempt:
    """Return the one attempt that a payload holds."""
    event = only(payload)
    assert isinstance(event, ApiCallAttempt)
    return event


def test_call() -> None:
    """Every field of a call is decoded."""
    payload = call(
        ClientId="etl",
        AttemptCount=3,
        MaxRetriesExceeded=1,
        FinalHttpStatusCode=503,
        FinalAwsException="SlowDown",
        FinalAwsExceptionMessage="Please reduce your request rate.",
    )

    assert only(payload) == ApiCall(
        dialect=Dialect.BOTOCORE,
        service="S3",
        api="GetObject",
        client_id="etl",
        timestamp_ms=BASE_MS,
        latency_ms=30,
        region="us-east-1",
        user_agent=AGENTS[Dialect.BOTOCORE],
        status=503,
        aws_exception=Failure("SlowDown", "Please reduce your request rate."),
        size_bytes=len(payload),
        attempt_count=3,
        max_retries_exceeded=True,
    )


def test_attempt() -> None:
    """Every field of an attempt is decoded, the access key as its account."""
    payload = attempt(
        Dialect.CPP,
        AccessKey="ASIAY34FZKBOKMUTVV7A",
        SessionToken=TOKEN,
        XAmznRequestId="",
        XAmzRequestId="79104EXAMPLEB723",
        XAmzId2="IOWQ4fDEXAMPLEQM",
        DestinationIp="10.0.0.1",
        ConnectionReused=1,
        AcquireConnectionLatency=1,
        ConnectLatency=2,
        RequestLatency=3,
        DnsLatency=0,
        TcpLatency=5,
        SslLatency=6,
    )

    assert only(payload) == ApiCallAttempt(
        dialect=Dialect.CPP,
        service="S3",
        api="GetObject",
        timestamp_ms=BASE_MS + 2,
        latency_ms=25,
        region="us-east-1",
        user_agent=AGENTS[Dialect.CPP],
        status=200,
        account_id="609629065308",
        size_bytes=len(payload),
        fqdn="s3.us-east-1.amazonaws.com",
        request_id="79104EXAMPLEB723",
        extended_request_id="IOWQ4fDEXAMPLEQM",
        destination_ip="10.0.0.1",
        connection_reused=True,
        latencies=Latencies(acquire_connection_ms=1, connect_ms=2, request_ms=3, dns_ms=0, tcp_ms=5, tls_ms=6),
    )


@pytest.mark.parametrize("dialect", sorted(Dialect))
def test_every_dialect_is_parsed_strictly(dialect: Dialect) -> None:
    """What the SDKs send is accepted by the strict parser, except for .NET's spelling of AWS."""
    payloads = [call(dialect), attempt(dialect)]

    assert all(wire.parse_strict(payload) is not None for payload in payloads)
    assert [only(payload).dialect for payload in payloads] == [dialect, dialect]


@pytest.mark.parametrize("dialect", sorted(set(Dialect) - {Dialect.UNKNOWN}))
def test_dialect_without_an_sdk_in_the_agent(dialect: Dialect) -> None:
    """Where the application sets its own user agent, the order of the keys identifies the SDK, on both paths."""
    payloads = [call(dialect, UserAgent="mine/1.0"), attempt(dialect, UserAgent="mine/1.0")]

    assert [only(payload).dialect for payload in payloads] == [dialect, dialect]
    assert [decoding._decode_lenient(payload).events[0].dialect for payload in payloads] == [dialect, dialect]


def test_user_agent_beats_key_order() -> None:
    """A user agent that names an SDK has precedence over the key order, which may be a coincidence."""
    payload = encode(Dialect.JS, call_fields(Dialect.JS, UserAgent=AGENTS[Dialect.BOTOCORE]))

    assert only(payload).dialect is Dialect.BOTOCORE


ONE, TWO = call_fields(Api="One"), attempt_fields(Api="Two")


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(json.dumps([ONE, TWO]).encode(), id="array"),
        pytest.param(json.dumps([ONE, TWO], indent=4).encode(), id="array-pretty"),
        pytest.param(b"\n".join([json.dumps(ONE).encode(), json.dumps(TWO).encode()]), id="lines"),
        pytest.param(b"\r\n\r\n".join([json.dumps(ONE).encode(), json.dumps(TWO).encode()]), id="lines-crlf"),
        pytest.param(json.dumps(ONE, indent=2).encode() + b"\n" + json.dumps(TWO, indent=2).encode(), id="pretty"),
        pytest.param(json.dumps(ONE).encode() + json.dumps(TWO).encode(), id="side-by-side"),
        pytest.param(b"\xef\xbb\xbf" + json.dumps([ONE, TWO]).encode(), id="bom"),
        pytest.param(b" \t\r\n" + json.dumps([ONE, TWO]).encode() + b"\n\x00\x00", id="blanks-and-padding"),
        pytest.param(json.dumps([ONE]).encode() + json.dumps([TWO]).encode(), id="arrays"),
    ],
)
def test_several_events(payload: bytes) -> None:
    """Several events in one datagram, in any of the usual shapes, are decoded in order."""
    decoded = decode(payload)

    assert [event.api for event in decoded.events] == ["One", "Two"]
    assert decoded.rejected == ()


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(json.dumps(ONE, indent=2).encode(), id="pretty"),
        pytest.param(b"\xef\xbb\xbf" + json.dumps(ONE).encode(), id="bom"),
        pytest.param(b"\n  " + json.dumps(ONE).encode() + b" \n", id="blanks"),
        pytest.param(json.dumps([ONE]).encode(), id="array-of-one"),
        pytest.param(json.dumps({key.upper(): value for key, value in ONE.items()}).encode(), id="upper-case-keys"),
        pytest.param(json.dumps(ONE | {"Nested": {"a": [1, {}]}}).encode(), id="unknown-key-nested"),
        pytest.param(json.dumps(ONE | {"Unknown": "x" * 60_000}).encode(), id="64-KiB"),
        pytest.param(json.dumps(ONE | {"Latency": "30", "AttemptCount": "1"}).encode(), id="numeric-strings"),
        pytest.param(json.dumps(ONE | {"Latency": 30.0, "Timestamp": float(BASE_MS)}).encode(), id="integral-floats"),
        pytest.param(json.dumps(ONE | {"Timestamp": BASE_MS + 0.75}).encode(), id="php-2018-float-timestamp"),
        pytest.param(json.dumps(ONE | {"FinalAwsException": None, "ClientId": None}).encode(), id="nulls"),
        pytest.param(json.dumps(ONE | {"MaxRetriesExceeded": False}).encode(), id="boolean-flag"),
        pytest.param(b'{"Api":"Other","Latency":7,' + json.dumps(ONE).encode()[1:], id="duplicate-keys-last-wins"),
        pytest.param(json.dumps(ONE | {"latency": None, "API": None}).encode(), id="null-in-another-spelling"),
    ],
)
def test_same_event_in_another_shape(payload: bytes) -> None:
    """The shape of the JSON around an event does not change the event."""
    event = only_call(payload)

    expected = only_call(json.dumps(ONE).encode())
    same = {name: getattr(event, name) for name in event.__struct_fields__} | {"size_bytes": expected.size_bytes}
    assert ApiCall(**same) == expected


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        pytest.param(b"", "empty", id="empty-php"),
        pytest.param(b" \n\t", "empty", id="blanks"),
        pytest.param(b"\xef\xbb\xbf", "empty", id="bom-alone"),
        pytest.param(b"\x00" * 100, "empty", id="zero-bytes"),
        pytest.param(b"[]", "empty", id="empty-array"),
        pytest.param(b"hello", "not_json", id="text"),
        pytest.param(b'{"Type":"ApiCall","Api":"A"', "not_json", id="cut"),
        pytest.param(b"\xff\xfe\x00", "not_json", id="bytes"),
        pytest.param('{"Type":"ApiCall"}'.encode("utf-16"), "not_json", id="utf-16"),
        pytest.param(b'"ApiCall"', "not_an_object", id="string"),
        pytest.param(b"31000", "not_an_object", id="number"),
        pytest.param(b"null", "not_an_object", id="null"),
        pytest.param(b"[1,2]", "not_an_object", id="array-of-numbers"),
        pytest.param(b"[[{}]]", "not_an_object", id="array-in-array"),
        pytest.param(b"[" * 60_000, "too_deep", id="deep-arrays"),
        pytest.param(b'{"Type":' * 8_000, "too_deep", id="deep-objects"),
        pytest.param(b'{"x":' * 8_000 + b"1" + b"}" * 8_000, "too_deep", id="deep-and-closed"),
        pytest.param(b"{}", "unknown_type", id="no-type"),
        pytest.param(call(Type="Other"), "unknown_type", id="other-type"),
        pytest.param(call(Type=None), "unknown_type", id="null-type"),
        pytest.param(call(Type="apicall"), "unknown_type", id="type-in-lower-case"),
        pytest.param(call(Type=["ApiCall"]), "unknown_type", id="type-in-an-array"),
        pytest.param(call(Service=ABSENT, Api=ABSENT), "unnamed", id="unnamed"),
        pytest.param(call(Service="", Api=" \n"), "unnamed", id="unnamed-blank"),
    ],
)
def test_no_event(payload: bytes, reason: str) -> None:
    """A payload without an event is rejected with a fixed reason that holds no part of it."""
    with pytest.raises(MalformedDatagramError) as raised:
        decode(payload)

    assert (raised.value.reason, str(raised.value)) == (reason, reason)
    assert raised.value.__context__ is None


def test_good_events_survive_bad_neighbours() -> None:
    """Events are decoded although other objects of the datagram are rejected, each with its reason."""
    payload = b"\n".join([b"junk", call(Api="One"), b"{}", b"7", attempt(Api="Two"), b'{"Type":'])

    decoded = decode(payload)

    assert [event.api for event in decoded.events] == ["One", "Two"]
    assert decoded.rejected == ("not_json", "unknown_type", "not_an_object", "not_json")


def test_other_versions_are_counted_and_decoded() -> None:
    """An event with another Version is counted and decoded; without one (Go's calls) it is not counted."""
    payload = b"\n".join([call(Version=2), call(Version="3"), call(Version=1), call(Version=ABSENT)])

    decoded = decode(payload)

    assert (len(decoded.events), decoded.other_versions) == (4, 2)
    assert decode(call(Version=2)).other_versions == 1


def test_failed_parses_are_bounded() -> None:
    """A datagram of nothing but broken lines costs a bounded number of parses."""
    with pytest.raises(MalformedDatagramError) as raised:
        decode(b"{\n" * 32_000)
    rejected = decode(call() + b"\n" + b"{\n" * 30_000).rejected

    assert raised.value.reason == "not_json"
    assert rejected == ("not_json",) * (wire.MAX_OBJECTS - 1) + ("too_many",)


def test_repeated_parsing_is_bounded() -> None:
    """Lines that each fail at the end of the datagram cost a few passes over it, not one each."""
    nested = b"[1,\n" * 900 + b"1," * 30_000
    unfinished = b"[1,\n" * 900 + b'"' + b"a" * 60_000

    for hostile in (nested, unfinished):
        assert decode(call() + b"\n" + hostile).rejected == ("not_json",) * 3 + ("too_many",)


SMALL_CALL = b'{"Type":"ApiCall","Api":"A"}'


@pytest.mark.parametrize(
    ("payload", "rejected"),
    [
        pytest.param(SMALL_CALL * 1024 + b" \n\x00", (), id="as-many-as-are-read"),
        pytest.param(SMALL_CALL * 1025, ("too_many",), id="one-more"),
        pytest.param(b"\n".join([SMALL_CALL] * 2_000), ("too_many",), id="lines"),
        pytest.param(b"[" + b",".join([SMALL_CALL] * 1024) + b"]", (), id="array-as-many-as-are-read"),
        pytest.param(b"[" + b",".join([SMALL_CALL] * 2_000) + b"]", ("too_many",), id="array"),
        pytest.param((b"[" + b",".join([SMALL_CALL] * 700) + b"]") * 3, ("too_many",), id="arrays"),
        pytest.param(SMALL_CALL * 1024 + b"junk", ("too_many",), id="the-rest-is-not-parsed"),
    ],
)
def test_too_many_objects(payload: bytes, rejected: tuple[str, ...]) -> None:
    """A datagram's first 1,024 objects are decoded; the rest is one ``too_many``."""
    decoded = decode(payload)

    assert (len(decoded.events), decoded.rejected) == (1024, rejected)


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(b"[" * 30_000 + b"]" * 30_000, id="arrays"),
        pytest.param(b'{"a":' * 6_000 + b"1" + b"}" * 6_000, id="objects"),
    ],
)
def test_deep_nesting_ends_parsing(odd: bytes) -> None:
    """Excessive nesting is rejected once, and the events before it are kept."""
    decoded = decode(call() + b"\n" + odd + b"\n" + call())

    assert (len(decoded.events), decoded.rejected) == (1, ("too_deep",))


@pytest.mark.parametrize("digits", [19, 20, 4_300, 60_000])
def test_numbers_of_any_length(digits: int) -> None:
    """A number with too many digits is dropped and the event kept, on both paths."""
    for shape in (b"%b", b"[%b]"):
        (event,) = decode(shape % call(Latency=0).replace(b'"Latency":0', b'"Latency":' + b"9" * digits)).events
        assert event.latency_ms is None


@pytest.mark.parametrize(("length", "kept"), [(2_047, 2_047), (2_048, 2_048), (2_049, 2_048), (60_000, 2_048)])
def test_texts_are_cut(length: int, kept: int) -> None:
    """No text is longer than 2,048 characters."""
    event = only_call(call(Api="A" * length, ClientId="c" * length, FinalAwsExceptionMessage="m " * (length // 2)))

    assert (len(event.api), len(event.client_id)) == (kept, kept)
    assert event.aws_exception is not None
    assert len(event.aws_exception.message) <= kept


def test_too_many_is_never_the_only_reason() -> None:
    """A datagram without any event is malformed for the reason of its first object."""
    with pytest.raises(MalformedDatagramError) as raised:
        decode(b"{}" * 2_000)

    assert raised.value.reason == "unknown_type"


@pytest.mark.parametrize(
    ("field", "value", "attribute", "expected"),
    [
        pytest.param("Latency", 0, "latency_ms", 0, id="latency-zero"),
        pytest.param("Latency", -5, "latency_ms", None, id="latency-negative-clock-step"),
        pytest.param("Latency", 3 * DAY_MS, "latency_ms", DAY_MS, id="latency-capped"),
        pytest.param("Latency", 10**18, "latency_ms", None, id="latency-1e18"),
        pytest.param("Latency", 10**30, "latency_ms", None, id="latency-huge-int"),
        pytest.param("Latency", 1e300, "latency_ms", None, id="latency-huge-float"),
        pytest.param("Latency", float("nan"), "latency_ms", None, id="latency-nan"),
        pytest.param("Latency", float("inf"), "latency_ms", None, id="latency-infinity"),
        pytest.param("Latency", True, "latency_ms", None, id="latency-boolean"),
        pytest.param("Latency", "12", "latency_ms", 12, id="latency-string"),
        pytest.param("Latency", "12.0", "latency_ms", 12, id="latency-float-string"),
        pytest.param("Latency", "nan", "latency_ms", None, id="latency-nan-string"),
        pytest.param("Latency", "soon", "latency_ms", None, id="latency-word"),
        pytest.param("Latency", [12], "latency_ms", None, id="latency-array"),
        pytest.param("Latency", {"ms": 12}, "latency_ms", None, id="latency-object"),
        pytest.param("Timestamp", None, "timestamp_ms", None, id="timestamp-null"),
        pytest.param("Timestamp", 0, "timestamp_ms", None, id="timestamp-zero"),
        pytest.param("Timestamp", -1, "timestamp_ms", None, id="timestamp-negative"),
        pytest.param("Timestamp", BASE_MS + 0.5, "timestamp_ms", BASE_MS, id="timestamp-float"),
        pytest.param("Timestamp", str(BASE_MS), "timestamp_ms", BASE_MS, id="timestamp-string"),
        pytest.param("Timestamp", 4_102_444_800_000, "timestamp_ms", 4_102_444_800_000, id="timestamp-2100"),
        pytest.param("Timestamp", BASE_MS * 10**6, "timestamp_ms", None, id="timestamp-in-nanoseconds"),
        pytest.param("Timestamp", 10**20, "timestamp_ms", None, id="timestamp-huge"),
        pytest.param("FinalHttpStatusCode", 0, "status", None, id="status-zero-go-ruby"),
        pytest.param("FinalHttpStatusCode", -1, "status", None, id="status-minus-one-cpp"),
        pytest.param("FinalHttpStatusCode", 99, "status", None, id="status-below"),
        pytest.param("FinalHttpStatusCode", 100, "status", 100, id="status-lowest"),
        pytest.param("FinalHttpStatusCode", 599, "status", 599, id="status-highest"),
        pytest.param("FinalHttpStatusCode", 600, "status", None, id="status-above"),
        pytest.param("FinalHttpStatusCode", "404", "status", 404, id="status-string"),
        pytest.param("FinalHttpStatusCode", "", "status", None, id="status-empty"),
        pytest.param("FinalHttpStatusCode", True, "status", None, id="status-boolean"),
        pytest.param("AttemptCount", 0, "attempt_count", 0, id="count-zero"),
        pytest.param("AttemptCount", -1, "attempt_count", None, id="count-negative"),
        pytest.param("AttemptCount", None, "attempt_count", None, id="count-null"),
        pytest.param("MaxRetriesExceeded", 0, "max_retries_exceeded", False, id="flag-0"),
        pytest.param("MaxRetriesExceeded", 1, "max_retries_exceeded", True, id="flag-1"),
        pytest.param("MaxRetriesExceeded", "1", "max_retries_exceeded", True, id="flag-string"),
        pytest.param("MaxRetriesExceeded", True, "max_retries_exceeded", True, id="flag-boolean"),
        pytest.param("MaxRetriesExceeded", 2, "max_retries_exceeded", None, id="flag-two"),
        pytest.param("ApiCallTimeout", 1, "timed_out", True, id="java-timeout"),
        pytest.param("APICallTimeout", 1, "timed_out", True, id="early-spelling-of-timeout"),
        pytest.param("Region", None, "region", None, id="region-null"),
        pytest.param("Region", "", "region", None, id="region-empty"),
        pytest.param("Region", 7, "region", None, id="region-number"),
        pytest.param("ClientId", None, "client_id", "", id="client-id-null"),
        pytest.param("ClientId", ABSENT, "client_id", "", id="client-id-absent"),
        pytest.param("ClientId", "Büro-ß", "client_id", "Büro-ß", id="client-id-not-ascii"),
        pytest.param("ClientId", "x" * 255, "client_id", "x" * 255, id="client-id-255"),
        pytest.param("Service", "Application Auto Scaling", "service", "Application Auto Scaling", id="service-blanks"),
        pytest.param("Api", "\x00Get\x1bObject\x7f", "api", "GetObject", id="control-characters"),
        pytest.param("Api", "Get\ud800Object", "api", "GetObject", id="lone-surrogate"),
        pytest.param("Api", "x" * 5_000, "api", "x" * 2_048, id="longer-than-any-sdk-sends"),
        pytest.param("UserAgent", " GuzzleHttp/7", "user_agent", "GuzzleHttp/7", id="leading-blank-php"),
        pytest.param("FinalAwsException", 502, "aws_exception", Failure("502", ""), id="exception-number-js"),
        pytest.param("FinalAwsException", 502.0, "aws_exception", Failure("502", ""), id="exception-float"),
        pytest.param("FinalAwsException", "404", "aws_exception", Failure("404", ""), id="exception-digits"),
        pytest.param("FinalAwsException", "", "aws_exception", Failure("", ""), id="exception-unnamed-php"),
        pytest.param("FinalAwsException", None, "aws_exception", None, id="exception-null"),
        pytest.param("FinalAwsException", False, "aws_exception", None, id="exception-boolean"),
        pytest.param("FinalAWSException", "A", "aws_exception", Failure("A", ""), id="exception-dotnet-spelling"),
        pytest.param(
            "FinalSdkExceptionMessage", "No body.", "sdk_exception", Failure("", "No body."), id="message-alone-cpp"
        ),
        pytest.param(
            "FinalAwsExceptionMessage",
            "slow\n\tstatus code: 503",
            "aws_exception",
            Failure("", "slow  status code: 503"),
            id="message-of-go",
        ),
    ],
)
def test_field(field: str, value: object, attribute: str, expected: object) -> None:
    """An odd field is corrected or dropped, never the event."""
    payload = encode(Dialect.BOTOCORE, call_fields(**{field: value}))

    actual = getattr(only_call(payload), attribute)

    assert (actual, type(actual)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("changes", "attribute", "expected"),
    [
        pytest.param({"XAmznRequestId": "a", "XAmzRequestId": "b"}, "request_id", "a", id="first-request-id"),
        pytest.param({"XAmznRequestId": "", "XAmzRequestId": "b"}, "request_id", "b", id="second-request-id"),
        pytest.param({"XAmznRequestId": ""}, "request_id", None, id="no-request-id-go"),
        pytest.param({"DestinationIp": ""}, "destination_ip", None, id="no-destination-php"),
        pytest.param({"ConnectionReused": "0"}, "connection_reused", False, id="reused-string"),
        pytest.param(
            {"AWSException": "A", "AWSExceptionMessage": "m"}, "aws_exception", Failure("A", "m"), id="dotnet"
        ),
        pytest.param({"AccessKey": ""}, "account_id", None, id="anonymous-go"),
        pytest.param({"AccessKey": 7}, "account_id", None, id="key-of-another-type"),
        pytest.param({"AttemptCount": 3}, "status", 200, id="go-before-1.25.18-counts-on-attempts"),
        pytest.param({}, "latencies", None, id="no-latencies"),
        pytest.param({"DnsLatency": -1}, "latencies", None, id="only-an-odd-latency"),
    ],
)
def test_attempt_field(changes: dict[str, object], attribute: str, expected: object) -> None:
    """An attempt's fields are read as the SDKs mean them."""
    assert getattr(only_attempt(attempt(**changes)), attribute) == expected


def test_ruby_attempt_that_was_not_sent() -> None:
    """Ruby sends nulls for a client-side failure, unlike an attempt that merely lacks its times."""
    nulls: dict[str, Any] = dict.fromkeys(["Timestamp", "Fqdn", "Region", "UserAgent", "AccessKey"])
    phantom = attempt(Dialect.RUBY, **nulls, AttemptLatency=ABSENT, HttpStatusCode=ABSENT, SdkException="ArgumentError")
    event = only_attempt(phantom)

    assert (event.not_sent, event.dialect, event.timestamp_ms) == (True, Dialect.RUBY, None)
    assert not only_attempt(attempt(Dialect.JAVA, Timestamp=ABSENT, AttemptLatency=ABSENT)).not_sent
    assert not only_attempt(attempt(Dialect.RUBY, HttpStatusCode=0)).not_sent, "presigned: it has its times"


def test_invalid_utf8_is_replaced() -> None:
    """An event that C++ cut inside a character is kept, with a replacement character."""
    payload = attempt(Dialect.CPP, AwsException="Slow", AwsExceptionMessage="wäh").replace("ä".encode(), b"\xc3")

    assert only_attempt(payload).aws_exception == Failure("Slow", "w\ufffdh")


def test_escaping_makes_no_difference() -> None:
    """Text is the same whether the sender escapes it (botocore, PHP) or not (JS, Ruby)."""
    texts = {
        dialect: only_call(call(dialect, FinalAwsException="E", FinalAwsExceptionMessage="é/漢 😀")).aws_exception
        for dialect in (Dialect.BOTOCORE, Dialect.PHP, Dialect.JS, Dialect.RUBY)
    }

    assert set(texts.values()) == {Failure("E", "é/漢 😀")}


@given(strategies.any_payload)
def test_decode_raises_one_error_or_nothing(payload: bytes) -> None:
    """Any payload either decodes to valid events or raises the one error with a known reason."""
    decoded, reasons = outcome(payload)

    assert bool(decoded.events) != bool(reasons)
    assert {*decoded.rejected, *reasons} <= REASONS
    for event in decoded.events:
        assert_sound(event)


def outcome(payload: bytes) -> tuple[Decoded, list[str]]:
    """Return the decoded payload, or the reason why it is malformed."""
    try:
        return decode(payload), []
    except MalformedDatagramError as error:
        return Decoded([]), [error.reason]


def assert_sound(event: Event) -> None:
    """Assert the invariants that every later stage relies on."""
    assert event.service or event.api
    assert event.status is None or 100 <= event.status <= 599
    assert event.latency_ms is None or 0 <= event.latency_ms <= DAY_MS
    assert event.timestamp_ms is None or 0 <= event.timestamp_ms * 10**6 < 2**63
    texts = [event.service, event.api, event.client_id, event.region or "", event.user_agent or ""]
    texts += [
        text for failure in (event.aws_exception, event.sdk_exception) if failure for text in failure_texts(failure)
    ]
    assert not any(ord(letter) < 32 or 0xD800 <= ord(letter) <= 0xDFFF for text in texts for letter in text)


def failure_texts(failure: Failure) -> list[str]:
    """Return both texts of a failure."""
    return [failure.name, failure.message]


@given(strategies.well_formed())
def test_both_paths_agree(payload: bytes) -> None:
    """The lenient path decodes the same events from everything that the strict one accepts."""
    assert decode(payload) == decoding._decode_lenient(payload)


def test_secret_with_control_characters() -> None:
    """A secret is cleaned like the texts that are searched for it, so that its quotes are found."""
    token = "abcdefgh\x00ijklmnop\nqrstuvwx"
    event = only_attempt(attempt(SessionToken=token, AwsException="E", AwsExceptionMessage=f"bad: {token}."))

    assert event.aws_exception == Failure("E", "bad: [redacted].")


@given(strategies.leaking())
def test_no_event_holds_a_secret(leaking: tuple[bytes, list[str]]) -> None:
    """Neither the access key nor the session token, nor 16 characters of either, is in an event or its repr."""
    payload, secrets = leaking

    decoded = decode(payload)

    assert not strategies.holds_piece(repr(decoded), secrets)


@given(strategies.leaking())
def test_no_error_holds_a_secret(leaking: tuple[bytes, list[str]]) -> None:
    """Neither secret is in the error, nor in its cause or context."""
    payload, secrets = leaking

    with pytest.raises(MalformedDatagramError) as raised:
        decode(payload.replace(b'"Type"', b'"Kind"'))

    assert not strategies.holds_piece(repr(raised.value) + str(raised.value.__context__), secrets)


@pytest.mark.parametrize(
    ("access_key_id", "account"),
    [
        pytest.param("ASIAY34FZKBOKMUTVV7A", "609629065308", id="temporary"),
        pytest.param("AKIAY34FZKBOKMUTVV7A", "609629065308", id="long-term"),
        pytest.param("AKIAIOSFODNN7EXAMPLE", None, id="legacy-holds-none"),
        pytest.param("ASIAQAAAAAAAGMKEM7X5", None, id="account-zero"),
        pytest.param("AKIDEXAMPLE", None, id="not-a-real-key"),
        pytest.param("AROAY34FZKBOKMUTVV7A", None, id="not-a-key-prefix"),
        pytest.param("ASIAY34FZKBOKMUTVV7", None, id="short"),
        pytest.param("ASIAY34FZKBOKMUTVV7AA", None, id="long"),
        pytest.param("asiay34fzkbokmutvv7a", None, id="lower-case"),
        pytest.param("ASIAY34FZKBOKMUTVV7é", None, id="not-ascii"),
        pytest.param("ASIAY34FZKBOKMUTVV1A", None, id="not-base32"),
        pytest.param("ASIA" + "\ud800" * 16, None, id="surrogates"),
        pytest.param("", None, id="empty"),
    ],
)
def test_account_of_key(access_key_id: str, account: str | None) -> None:
    """A key id created since 2019 holds its account; any other holds none."""
    assert account == account_of(access_key_id)


@given(account=st.integers(1, 10**12 - 1), rest=st.binary(min_size=4, max_size=4), low=st.integers(0, 127))
def test_account_survives_encoding(account: int, rest: bytes, low: int) -> None:
    """Any account encoded in a key id is read from it, as 12 digits."""
    value = 1 << 47 | account << 7 | low
    key = "AKIA" + base64.b32encode(value.to_bytes(6, "big") + rest).decode()

    assert f"{account:012d}" == account_of(key)


@given(st.text(max_size=24))
def test_anything_has_twelve_digits_or_none(text: str) -> None:
    """No text raises, and the result is an account id or None."""
    account = account_of(text)

    assert account is None or (len(account) == 12 and account.isdigit())


CANARY = "AKIACANARY7CANARY7CA"
SECRETS = [None, "", "test", "us-east-1", "GetObject", "deadbeef" * 2, "boto3-canary-16ch", CANARY, TOKEN]
TEXT_FIELDS = ["Service", "Api", "ClientId", "Region", "UserAgent", "Fqdn", "XAmznRequestId", "AwsExceptionMessage"]
texts = st.sampled_from([*SECRETS, "us-east-1\n", f" x{CANARY}", "0aa8b3a0-7a55-11ee-b962-0242ac120002", "mine/1.0"])
datagrams = st.fixed_dictionaries(
    {"AccessKey": st.sampled_from(SECRETS), "SessionToken": st.sampled_from(SECRETS)},
    optional=dict.fromkeys(TEXT_FIELDS, texts),
)


@given(st.lists(datagrams, max_size=6), st.sampled_from([Dialect.BOTOCORE, Dialect.PHP]))
def test_remembered_texts_make_no_difference(fields: list[dict[str, Any]], dialect: Dialect) -> None:
    """A payload gives the same events whatever was decoded before."""
    payloads = [attempt(dialect, **one) for one in fields]
    forget()
    warm = [decoded_or_reason(payload) for payload in payloads * 2]

    for payload, decoded in zip(payloads * 2, warm, strict=True):
        forget()
        assert decoded_or_reason(payload) == decoded


@pytest.mark.parametrize("field", TEXT_FIELDS)
@pytest.mark.parametrize("secret", ["AccessKey", "SessionToken"])
def test_no_secret_is_remembered(field: str, secret: str) -> None:
    """Neither the secrets of a datagram nor a text with one of them in it are kept after decoding."""
    forget()

    decode(attempt(**{secret: CANARY, field: f"a text with {CANARY} in it"}))
    decode(attempt(**{secret: CANARY, "AwsException": "AccessDenied"}))
    decode(attempt(**{field: CANARY}))

    assert decoding._identities, "else there is nothing to see"
    assert decoding._failures
    assert CANARY not in repr(decoding._identities)
    assert CANARY not in repr(decoding._failures)


def test_little_is_remembered() -> None:
    """Neither a flood of senders or failures fills the memory, nor do long texts."""
    forget()
    decode(attempt(UserAgent="x" * 2000, AwsException="SlowDown", AwsExceptionMessage="x" * 2000))
    assert not decoding._identities
    assert not decoding._failures

    for number in range(3000):
        decode(attempt(ClientId=f"sender {number}", AwsException="SlowDown", AwsExceptionMessage=f"{number}"))
    assert len(decoding._identities) <= 1024
    assert len(decoding._failures) <= 1024


def test_blanks_around_a_text_do_not_hinder() -> None:
    """A text with blanks around it, as the user agent of PHP's calls, is remembered like any other."""
    forget()
    decode(call(Dialect.PHP, UserAgent=PHP_CALL_AGENT))

    assert decoding._identities


def forget() -> None:
    """Forget all texts."""
    decoding._identities.clear()
    decoding._failures.clear()
