"""The SDKs' own cases: the events they are expected to send become the trees of their clients' calls.

The expected trees are derived from the ``apiCalls`` of a case, never from the events that are decoded.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from conformance.cases import (
    DNS_MS,
    MISSING,
    PEER_ADDRESS,
    SDK_EXCEPTION,
    USER_AGENTS,
    Case,
    cases,
    datagrams,
    ruby_datagrams,
)
from conformance.packed import Recorded
from conformance.recordings import play, trees_of

from csm_otel.correlation.released import CorrelatedCall, OrphanAttempt
from csm_otel.csm.decoding import decode
from csm_otel.csm.events import ApiCall, ApiCallAttempt, Dialect, Failure, Peer
from csm_otel.spans.data import SpanKind

if TYPE_CHECKING:
    from csm_otel.spans.data import SpanData

if MISSING:
    pytest.skip(MISSING, allow_module_level=True)

ENABLED = {"botocore": 17, "aws-sdk-js": 18, "aws-sdk-php": 4}
"""The number of cases that expect events."""
DISABLED = {"botocore": 4, "aws-sdk-js": 4, "aws-sdk-php": 1}
"""The number of cases that expect no events."""

EACH = [pytest.param(sdk, at, id=f"{sdk}-{at + 1}") for sdk in ENABLED for at in range(ENABLED[sdk] + DISABLED[sdk])]

REQUEST_ID_HEADERS = {
    "x-amzn-RequestId": "aws.request_id",
    "x-amz-request-id": "aws.request_id",
    "x-amz-id-2": "aws.extended_request_id",
}


class Seen(NamedTuple):
    """A span without its ids and times."""

    name: str
    kind: SpanKind
    attributes: dict[str, Any]
    is_error: bool
    status_message: str
    exceptions: list[dict[str, Any]]
    service_name: str


@pytest.mark.parametrize("sdk", ENABLED)
def test_the_number_of_cases(sdk: str) -> None:
    """Each file has the known number of cases with events, and the others expect none."""
    expectations = [bool(case["expectedMonitoringEvents"]) for case in cases(sdk)]

    assert (ENABLED[sdk], DISABLED[sdk]) == (expectations.count(True), expectations.count(False))


@pytest.mark.parametrize(("sdk", "at"), EACH)
def test_each_api_call_of_a_case_becomes_one_tree(sdk: str, at: int) -> None:
    """A case gives a tree for each call of its client, with a child for each response; a disabled one none."""
    case = cases(sdk)[at]
    expected = _expected_trees(sdk, case) if case["expectedMonitoringEvents"] else []
    trees = trees_of(play(datagrams(sdk, case)))

    assert expected == [[_seen(span) for span in tree] for tree in trees]
    for call, *attempts in trees:
        assert call.parent is None
        assert all(attempt.parent == call.context for attempt in attempts)
        ends = [attempt.end_ns for attempt in attempts]
        assert ends == sorted(ends)
        assert all(call.start_ns <= attempt.start_ns < attempt.end_ns <= call.end_ns for attempt in attempts)


@pytest.mark.parametrize("sdk", ENABLED)
def test_cases_hold_no_secret_once_decoded(sdk: str) -> None:
    """No event or span has an access key or a session token of the cases."""
    for case in cases(sdk):
        result = play(datagrams(sdk, case))
        text = repr([result.events, trees_of(result)])
        assert "myaccesskey" not in text
        assert "mysessiontoken" not in text


def test_ruby_datagrams_are_identified_by_key_order() -> None:
    """The literal datagrams of Ruby's spec, with foreign user agents, are a call and an attempt, three times."""
    events = [decode(datagram).events[0] for datagram in ruby_datagrams()]

    assert [ApiCall, ApiCallAttempt] * 3 == [type(event) for event in events]
    assert {Dialect.RUBY} == {event.dialect for event in events}
    assert "AKID-STUB" not in repr(events)
    assert "TOKEN-STUB" not in repr(events)


def test_ruby_datagrams_have_the_exceptions() -> None:
    """The call and the attempt of the erroneous pair each name both exceptions, the attempt its request ids."""
    call, attempt = (decode(datagram).events[0] for datagram in ruby_datagrams()[2:4])
    expected = (
        400,
        Failure("ServiceError", "A service problem happened."),
        Failure("Aws::Errors::ParserError", "Response parsing error."),
    )

    assert isinstance(attempt, ApiCallAttempt)
    assert expected == (call.status, call.aws_exception, call.sdk_exception)
    assert expected == (attempt.status, attempt.aws_exception, attempt.sdk_exception)
    assert attempt.request_id == "226FC0DC6464C2AE"
    assert attempt.extended_request_id == "fWhd+V0u5IWKNLhbIZi2ZR/DoWpAt2Km8T9ZZ75UnvkZFl0MU3jlf2B2zRJYHmxqkEc6iAtctOc="


def test_ruby_datagrams_that_do_not_coincide_are_no_tree() -> None:
    """The spec's attempts, 43 s apart from its calls, belong to none of them."""
    result = play(_received_together(ruby_datagrams()))

    calls = [released for released in result.released if isinstance(released, CorrelatedCall)]
    orphans = [released for released in result.released if isinstance(released, OrphanAttempt)]

    assert len(calls) == len(orphans) == 3
    assert all(call.missing == 1 for call in calls)


@pytest.mark.parametrize("pair", [0, 1, 2])
def test_ruby_datagrams_that_coincide_are_one_tree(pair: int) -> None:
    """The call comes first; with an attempt within its time, of the same client, it is a tree of two."""
    call, attempt = (json.loads(datagram) for datagram in ruby_datagrams()[2 * pair : 2 * pair + 2])
    attempt["Timestamp"] = call["Timestamp"] + 20
    attempt.update({key: call[key] for key in ("ClientId", "UserAgent")})
    [tree] = trees_of(play(_received_together([json.dumps(event).encode() for event in (call, attempt)])))

    expected = ["StubService.StubOperation", "StubService.StubOperation attempt"]

    assert expected == [span.name for span in tree]


def _received_together(payloads: list[bytes]) -> list[Recorded]:
    return [Recorded(payload, Peer("127.0.0.1", 40_000 + at), 0, "") for at, payload in enumerate(payloads)]


def _seen(span: SpanData) -> Seen:
    return Seen(
        name=span.name,
        kind=span.kind,
        attributes=dict(span.attributes),
        is_error=span.is_error,
        status_message=span.status_message,
        exceptions=[dict(event.attributes) for event in span.events],
        service_name=span.resource.service_name,
    )


def _expected_trees(sdk: str, case: Case) -> list[list[Seen]]:
    """Return the expected trees of a case by the mapping's tables, from its client's calls and their responses."""
    [call] = case["apiCalls"]
    service = call["serviceId"].lower() if sdk == "aws-sdk-php" else call["serviceId"]  # PHP named the endpoint in 2018
    responses = call["attemptResponses"]
    client_id = _client_id(case)
    name = f"{service}.{call['operationName']}"
    service_name = client_id or "unknown_service"
    host = service.lower().replace(" ", "") + ".us-west-2.amazonaws.com"
    server = {"cloud.region": "us-west-2", "server.address": host, "server.port": 443}
    attempts = [
        Seen(
            name=f"{name} attempt",
            kind=SpanKind.CLIENT,
            attributes={
                **server,
                **_response_attributes(response),
                "csm.attempt.number": number,
                **({"http.request.resend_count": number - 1} if number > 1 else {}),
                **({"network.peer.address": PEER_ADDRESS, "csm.latency.dns_ms": DNS_MS} if _is_measured(case) else {}),
            },
            is_error=bool(_error_of(response)),
            status_message=_message_of(response),
            exceptions=_exceptions_of(response),
            service_name=service_name,
        )
        for number, response in enumerate(responses, start=1)
    ]
    last = responses[-1]
    # PHP's calls had no Final* fields then: they have the result of their last attempt, but name no exception
    has_final = sdk != "aws-sdk-php"
    tree = Seen(
        name=name,
        kind=SpanKind.CLIENT,
        attributes={
            "rpc.system": "aws-api",
            "rpc.system.name": "aws-api",
            "rpc.service": service,
            "rpc.method": call["operationName"],
            **server,
            **_response_attributes(last),
            "csm.attempt_count": len(responses),
            **({"csm.max_retries_exceeded": _exceeds_retries(case)} if has_final else {}),
            **({"csm.client_id": client_id} if client_id else {}),
            "csm.sdk": USER_AGENTS[sdk].split()[0],
        },
        is_error=bool(_error_of(last)),
        status_message=_message_of(last),
        exceptions=_exceptions_of(last) if has_final else [],
        service_name=service_name,
    )
    return [[tree, *attempts]]


def _is_measured(case: Case) -> bool:
    return "DnsLatency" in case["expectedMonitoringEvents"][0]


def _client_id(case: Case) -> str:
    configuration = case.get("configuration", {})
    in_file = configuration.get("sharedConfigFile", {}).get("csm_client_id", "")
    return str(configuration.get("environmentVariables", {}).get("AWS_CSM_CLIENT_ID", in_file))


def _exceeds_retries(case: Case) -> bool:
    """Whether the last response was a retryable failure and the client had no attempt left."""
    responses = case["apiCalls"][0]["attemptResponses"]
    no_try_left = len(responses) - 1 == case.get("configuration", {}).get("maxRetries")
    return no_try_left and bool(_error_of(responses[-1]))


def _error_of(response: Case) -> str:
    return SDK_EXCEPTION if "sdkException" in response else str(response.get("errorCode", ""))


def _message_of(response: Case) -> str:
    sdk_exception = response.get("sdkException")
    if isinstance(sdk_exception, dict):
        return str(sdk_exception["message"])
    return str(response.get("sdkExceptionMessage") or response.get("errorMessage", ""))


def _exceptions_of(response: Case) -> list[dict[str, Any]]:
    error = _error_of(response)
    return [{"exception.type": error, "exception.message": _message_of(response)}] if error else []


def _response_attributes(response: Case) -> dict[str, Any]:
    headers = response.get("responseHeaders", {})
    return {
        **({"http.response.status_code": response["httpStatus"]} if "httpStatus" in response else {}),
        **({"error.type": _error_of(response)} if _error_of(response) else {}),
        **{REQUEST_ID_HEADERS[header]: value for header, value in headers.items()},
    }
