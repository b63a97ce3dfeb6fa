"""What call, attempt and orphan spans carry: the tables of the specification, row by row."""

from __future__ import annotations

from typing import Any

import pytest
from arrivals import BOTOCORE, CPP, GO, PHP, called, failed, finally_failed, tried
from datagrams import ABSENT, AGENTS, PHP_CALL_AGENT, TOKEN
from mapped import mapped

from csm_otel.spans.options import MappingOptions, RpcConventions

OLD, NEW, BOTH = RpcConventions.OLD_WITH_SYSTEM_NAME, RpcConventions.NEW, RpcConventions.NEW_AND_OLD
DYNAMODB: dict[str, Any] = {"Service": "DynamoDB", "Api": "GetItem"}
PLAIN = [tried("", 2, 27), called(0, 30)]


def attempt_of(changes: dict[str, Any]) -> dict[str, object]:
    """Return the attributes of an attempt with these fields."""
    (span,) = mapped(tried("", 2, 27, CPP, **changes))
    return dict(span.attributes)


def test_plain_call() -> None:
    """An ordinary call carries these attributes and no others."""
    call, _ = mapped(tried("79104EXAMPLEB723", 2, 27), called(0, 30, ClientId=ABSENT))

    assert call.attributes == {
        "rpc.system": "aws-api",
        "rpc.system.name": "aws-api",
        "rpc.service": "S3",
        "rpc.method": "GetObject",
        "cloud.region": "us-east-1",
        "server.address": "s3.us-east-1.amazonaws.com",
        "server.port": 443,
        "aws.request_id": "79104EXAMPLEB723",
        "http.response.status_code": 200,
        "csm.attempt_count": 1,
        "csm.max_retries_exceeded": False,
        "csm.sdk": "Boto3/1.44.5",
    }


def test_plain_attempt() -> None:
    """An ordinary attempt carries these attributes: nothing that counts as a second AWS call in service graphs."""
    _, attempt = mapped(tried("79104EXAMPLEB723", 2, 27), called(0, 30))

    assert attempt.attributes == {
        "cloud.region": "us-east-1",
        "server.address": "s3.us-east-1.amazonaws.com",
        "server.port": 443,
        "aws.request_id": "79104EXAMPLEB723",
        "http.response.status_code": 200,
        "csm.attempt.number": 1,
    }


@pytest.mark.parametrize(
    ("attempt", "call", "name", "expected"),
    [
        pytest.param({}, {"Region": None}, "cloud.region", "us-east-1", id="region-of-the-last-attempt"),
        pytest.param({"Region": None}, {"Region": "eu-west-1"}, "cloud.region", "eu-west-1", id="region-of-the-call"),
        pytest.param({"Region": None}, {"Region": None}, "cloud.region", None, id="region-unknown"),
        pytest.param({"AccessKey": "ASIAY34FZKBOKMUTVV7A"}, {}, "cloud.account.id", "609629065308", id="account"),
        pytest.param({"AccessKey": "AKIAIOSFODNN7EXAMPLE"}, {}, "cloud.account.id", None, id="account-not-in-the-key"),
        pytest.param({"Fqdn": "LOCALHOST:4566"}, {}, "server.address", "localhost", id="server-address"),
        pytest.param({"Fqdn": "LOCALHOST:4566"}, {}, "server.port", 4566, id="server-port"),
        pytest.param({"Fqdn": "localhost"}, {}, "server.port", None, id="server-port-unknown"),
        pytest.param({"XAmzRequestId": "b"}, {}, "aws.request_id", "b", id="request-id-of-s3"),
        pytest.param({"XAmzId2": "host-id"}, {}, "aws.extended_request_id", "host-id", id="extended-request-id"),
        pytest.param({}, {"FinalHttpStatusCode": None}, "http.response.status_code", 200, id="status-of-last-attempt"),
        pytest.param(
            {"HttpStatusCode": 0},
            {"FinalHttpStatusCode": 0},
            "http.response.status_code",
            None,
            id="no-response-no-status",
        ),
        pytest.param(failed(), finally_failed(), "error.type", "SlowDown", id="error-type"),
        pytest.param({}, {}, "error.type", None, id="no-error-type"),
        pytest.param({}, {"AttemptCount": ABSENT}, "csm.attempt_count", None, id="no-attempt-count"),
        pytest.param({}, {"ApiCallTimeout": 1}, "csm.timed_out", True, id="timed-out"),
        pytest.param({}, {"ApiCallTimeout": 0}, "csm.timed_out", None, id="not-timed-out"),
        pytest.param({}, {"MaxRetriesExceeded": 1}, "csm.max_retries_exceeded", True, id="max-retries-exceeded"),
        pytest.param({}, {"UserAgent": ABSENT}, "csm.sdk", "Boto3/1.44.5", id="sdk-of-the-last-attempt"),
        pytest.param({}, {}, "user_agent.original", None, id="no-user-agent-unasked"),
        pytest.param({}, {}, "peer.service", None, id="no-peer-service-unasked"),
        pytest.param({}, {}, "db.system.name", None, id="no-database"),
        pytest.param(DYNAMODB, DYNAMODB, "db.system.name", "aws.dynamodb", id="dynamodb-system"),
        pytest.param(DYNAMODB, DYNAMODB, "db.operation.name", "GetItem", id="dynamodb-operation"),
        pytest.param({"Fqdn": "etl-in.s3.amazonaws.com"}, {}, "aws.s3.bucket", "etl-in", id="bucket-in-the-host-name"),
        pytest.param({"Fqdn": "etl-in.localhost"}, {}, "aws.s3.bucket", None, id="no-bucket-elsewhere"),
        pytest.param(
            {"Fqdn": "etl-in.bucket.vpce-0a1b-2c3d.s3.us-east-1.vpce.amazonaws.com"},
            {},
            "aws.s3.bucket",
            "etl-in",
            id="bucket-at-an-interface-endpoint",
        ),
        pytest.param(
            {"Fqdn": "bucket.vpce-0a1b-2c3d.s3.us-east-1.vpce.amazonaws.com"},
            {},
            "aws.s3.bucket",
            None,
            id="no-bucket-at-an-interface-endpoint",
        ),
        pytest.param(
            {"Fqdn": "etl-in.s3.amazonaws.com", "Service": "SQS"},
            {"Service": "SQS"},
            "aws.s3.bucket",
            None,
            id="not-s3",
        ),
        pytest.param({}, {"Service": "Secrets Manager"}, "rpc.service", "Secrets Manager", id="service-as-sent"),
        pytest.param({}, {}, "csm.attempts_missing", None, id="nothing-missing"),
        pytest.param({}, {"AttemptCount": 3}, "csm.attempts_missing", 2, id="missing"),
        pytest.param({}, {}, "csm.correlation", None, id="not-ambiguous"),
        pytest.param({}, {}, "csm.outcome", None, id="sent"),
    ],
)
def test_call_row(attempt: dict[str, Any], call: dict[str, Any], name: str, expected: object) -> None:
    """One row of the ApiCall table."""
    span = mapped(tried("", 2, 27, **attempt), called(0, 30, **call))[0]

    assert span.attributes.get(name) == expected


@pytest.mark.parametrize(
    ("changes", "name", "expected"),
    [
        pytest.param({"HttpStatusCode": 503}, "http.response.status_code", 503, id="status"),
        pytest.param({"HttpStatusCode": -1}, "http.response.status_code", None, id="no-status"),
        pytest.param({"HttpStatusCode": 503}, "error.type", "503", id="error-type"),
        pytest.param({"XAmznRequestId": "a"}, "aws.request_id", "a", id="request-id"),
        pytest.param({"XAmzId2": "host-id"}, "aws.extended_request_id", "host-id", id="extended-request-id"),
        pytest.param({"Region": "eu-west-1"}, "cloud.region", "eu-west-1", id="region"),
        pytest.param({"AccessKey": "ASIAY34FZKBOKMUTVV7A"}, "cloud.account.id", "609629065308", id="account"),
        pytest.param({"DestinationIp": "10.0.0.1"}, "network.peer.address", "10.0.0.1", id="peer"),
        pytest.param({"DestinationIp": "2001:DB8::1"}, "network.peer.address", "2001:db8::1", id="peer-ipv6"),
        pytest.param({"DestinationIp": "10.0.0.256"}, "network.peer.address", None, id="peer-that-is-none"),
        pytest.param({"DestinationIp": ""}, "network.peer.address", None, id="peer-empty"),
        pytest.param({"ConnectionReused": 1}, "csm.connection.reused", True, id="reused"),
        pytest.param({"ConnectionReused": 0}, "csm.connection.reused", False, id="not-reused"),
        pytest.param(
            {"AcquireConnectionLatency": 1}, "csm.latency.acquire_connection_ms", 1, id="latency-acquire-connection"
        ),
        pytest.param({"ConnectLatency": 2}, "csm.latency.connect_ms", 2, id="latency-connect"),
        pytest.param({"RequestLatency": 3}, "csm.latency.request_ms", 3, id="latency-request"),
        pytest.param({"DnsLatency": 0}, "csm.latency.dns_ms", 0, id="latency-dns-zero-is-sent"),
        pytest.param({"TcpLatency": 5}, "csm.latency.tcp_ms", 5, id="latency-tcp"),
        pytest.param({"SslLatency": 6}, "csm.latency.tls_ms", 6, id="latency-tls"),
        pytest.param({"DnsLatency": 1}, "csm.latency.tcp_ms", None, id="latency-not-sent"),
    ],
)
def test_attempt_row(changes: dict[str, Any], name: str, expected: object) -> None:
    """One row of the ApiCallAttempt table."""
    assert attempt_of(changes).get(name) == expected


def test_order_of_attempts() -> None:
    """Attempts are numbered in the order of time, and resends counted from the second on."""
    spans = mapped(
        tried("a", 1, 5, **failed()), tried("b", 40, 45, **failed()), tried("c", 90, 96), called(0, 97, AttemptCount=3)
    )

    numbers = [(s.attributes.get("csm.attempt.number"), s.attributes.get("http.request.resend_count")) for s in spans]
    assert numbers == [(None, None), (1, None), (2, 1), (3, 2)]


def test_no_order_where_attempts_are_missing() -> None:
    """Where one is missing, it is not known which of them is the second."""
    spans = mapped(tried("a", 40, 45, **failed()), tried("b", 90, 96), called(0, 97, AttemptCount=3))

    assert spans[0].attributes["csm.attempts_missing"] == 1
    assert [span.attributes.get("csm.attempt.number") for span in spans] == [None, None, None]
    assert not any("http.request.resend_count" in span.attributes for span in spans)


def test_ambiguous_call_takes_nothing_from_its_attempt() -> None:
    """Where two attempts fit equally well, the call is marked ambiguous, without attributes that may be the other's."""
    call, attempt, orphan = mapped(tried("a", 2, 30), tried("b", 2, 30), called(0, 30))

    assert call.attributes["csm.correlation"] == "ambiguous"
    assert call.attributes["http.response.status_code"] == 200, "its own"
    assert {"aws.request_id", "server.address", "cloud.account.id"} & set(call.attributes) == set()
    assert "csm.attempt.number" not in attempt.attributes
    assert orphan.attributes["csm.orphan"] is True


def test_last_attempt_that_is_missing_lends_nothing() -> None:
    """The failed attempt before the lost one is not the last, so the call does not carry its request id."""
    call, _ = mapped(tried("a", 1, 5, **failed()), called(0, 97, AttemptCount=2))

    assert "aws.request_id" not in call.attributes


def test_go_call_has_a_request_id_of_its_own() -> None:
    """Go's call repeats the last attempt's request id, so it is there even if that attempt was lost."""
    (call,) = mapped(called(0, 30, GO, XAmznRequestId="lost"))

    assert call.attributes["aws.request_id"] == "lost"


def test_php_call_is_known_by_its_attempt() -> None:
    """PHP's call names no SDK; its attempt does."""
    call, _ = mapped(tried("", 2, 27, PHP), called(0, 30, PHP, UserAgent=PHP_CALL_AGENT))

    assert call.attributes["csm.sdk"] == "aws-sdk-php/3.376.2"


@pytest.mark.parametrize(
    ("conventions", "expected"),
    [
        pytest.param(
            OLD,
            {
                "rpc.system": "aws-api",
                "rpc.system.name": "aws-api",
                "rpc.service": "S3",
                "rpc.method": "GetObject",
            },
            id="default",
        ),
        pytest.param(NEW, {"rpc.system.name": "aws-api", "rpc.method": "S3/GetObject"}, id="rpc"),
        pytest.param(
            BOTH,
            {
                "rpc.system": "aws-api",
                "rpc.system.name": "aws-api",
                "rpc.service": "S3",
                "rpc.method": "S3/GetObject",
            },
            id="rpc/dup",
        ),
    ],
)
def test_semantic_convention_opt_in(conventions: RpcConventions, expected: dict[str, str]) -> None:
    """``OTEL_SEMCONV_STABILITY_OPT_IN`` chooses the names of RPC attributes, on calls and orphans alike."""
    options = MappingOptions(rpc_conventions=conventions)

    spans = [mapped(*PLAIN, options=options)[0], mapped(PLAIN[0], options=options)[0]]

    for span in spans:
        assert {name: value for name, value in span.attributes.items() if name.startswith("rpc.")} == expected


def test_attempts_have_no_rpc_attributes() -> None:
    """With any options, an attempt below its call is not a separate RPC."""
    options = MappingOptions(rpc_conventions=BOTH, peer_service=True, user_agent=True)
    _, attempt = mapped(tried("", 2, 27, **DYNAMODB), called(0, 30, **DYNAMODB), options=options)

    families = {name.partition(".")[0] for name in attempt.attributes}
    assert families & {"rpc", "db", "peer", "user_agent"} == set()


@pytest.mark.parametrize(
    ("options", "name", "expected"),
    [
        pytest.param(MappingOptions(user_agent=True), "user_agent.original", AGENTS[BOTOCORE], id="user-agent"),
        pytest.param(MappingOptions(peer_service=True), "peer.service", "S3", id="peer-service"),
        pytest.param(MappingOptions(account_id=False), "cloud.account.id", None, id="no-account"),
        pytest.param(MappingOptions(), "cloud.account.id", "609629065308", id="account"),
    ],
)
def test_options(options: MappingOptions, name: str, expected: object) -> None:
    """What is a setting follows it."""
    call, _ = mapped(tried("", 2, 27, AccessKey="ASIAY34FZKBOKMUTVV7A"), called(0, 30), options=options)

    assert call.attributes.get(name) == expected


def test_orphan() -> None:
    """An orphan has the attributes of its call, and is marked as one."""
    (span,) = mapped(tried("a", 2, 27, ClientId="etl", **failed(), **DYNAMODB))

    assert span.attributes == {
        "rpc.system": "aws-api",
        "rpc.system.name": "aws-api",
        "rpc.service": "DynamoDB",
        "rpc.method": "GetItem",
        "db.system.name": "aws.dynamodb",
        "db.operation.name": "GetItem",
        "cloud.region": "us-east-1",
        "server.address": "s3.us-east-1.amazonaws.com",
        "server.port": 443,
        "aws.request_id": "a",
        "http.response.status_code": 503,
        "error.type": "SlowDown",
        "csm.orphan": True,
        "csm.client_id": "etl",
        "csm.sdk": "Boto3/1.44.5",
    }


def test_not_sent() -> None:
    """A call that counts no attempts and names no error was never sent, which is no error: it may be a stub."""
    (span,) = mapped(called(0, 1, AttemptCount=0, Region=ABSENT, UserAgent=ABSENT, FinalHttpStatusCode=ABSENT))

    assert span.attributes["csm.outcome"] == "not_sent"
    assert (span.is_error, span.events) == (False, ())
    assert "http.response.status_code" not in span.attributes


def test_uncounted_redirect_was_sent() -> None:
    """PHP counts 0 attempts for a 301 that it does not follow, although a request was sent."""
    call, attempt = mapped(
        tried("", 2, 20, PHP, HttpStatusCode=301), called(0, 21, PHP, AttemptCount=0, FinalHttpStatusCode=ABSENT)
    )

    assert "csm.outcome" not in call.attributes
    assert [span.attributes["http.response.status_code"] for span in (call, attempt)] == [301, 301]


def test_no_secret_is_exported() -> None:
    """Neither key nor token, version nor type is anywhere in a span."""
    spans = mapped(
        tried(
            "",
            2,
            27,
            AccessKey="ASIAY34FZKBOKMUTVV7A",
            SessionToken=TOKEN,
            **failed(403, "Denied", f"no: {TOKEN[:300]}"),
        ),
        called(0, 30),
    )

    text = repr(spans)
    assert "ASIAY34FZKBOKMUTVV7A" not in text
    assert TOKEN[:16] not in text
    assert "no: [redacted]" in text
    assert "ApiCall" not in text
