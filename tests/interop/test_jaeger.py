"""Jaeger shows a legacy script's calls to AWS: the same tree, times, failures and tags over every path.

The fault proxy's answer log is the truth: each of its answers is one attempt.
"""

from __future__ import annotations

import functools
import sys
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import boto3
import pytest
from demo import SCRIPT
from interop.jaeger import Jaeger, ShownSpan
from interop.legacy_run import ACCESS_KEY, SESSION_TOKEN, Command, LegacyRun, Protocol, run_legacy_script
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id

UNSET, ERROR = 0, 2
CLIENT = 3
ROUNDING_NS = 2_000_000  # the exec span has the clock's own precision, the spans below it CSM's milliseconds

THROTTLED = "ProvisionedThroughputExceededException"

only_exec = pytest.mark.parametrize("command", ["exec"])
only_serve = pytest.mark.parametrize("command", ["serve"])
RunLegacyScript = Callable[[Command, Protocol], LegacyRun]


@pytest.fixture(scope="session")
def run_once(jaeger: Jaeger, moto_port: int, tmp_path_factory: pytest.TempPathFactory) -> RunLegacyScript:
    """Run the script under a command and over a protocol, each combination when first requested."""

    @functools.cache
    def run(command: Command, protocol: Protocol) -> LegacyRun:
        folder = tmp_path_factory.mktemp(command)
        return run_legacy_script(command, protocol, moto_port=moto_port, jaeger=jaeger, folder=folder)

    return run


@pytest.fixture(params=["exec", "serve"])
def command(request: pytest.FixtureRequest) -> Command:
    """Name the command that listens to the script."""
    found: Command = request.param
    return found


@pytest.fixture(params=["http/protobuf", "http/json", "grpc"], ids=["http", "json", "grpc"])
def protocol(request: pytest.FixtureRequest) -> Protocol:
    """Name the protocol as OTEL_EXPORTER_OTLP_PROTOCOL does."""
    found: Protocol = request.param
    return found


@pytest.fixture
def run(run_once: RunLegacyScript, command: Command, protocol: Protocol) -> LegacyRun:
    """Return the run that a test checks."""
    return run_once(command, protocol)


def test_a_span_of_the_stock_exporter_is_shown_as_sent(jaeger: Jaeger, protocol: Protocol) -> None:
    """Differences found below are csm-otel's: Jaeger itself changes neither ids nor times, status or tags."""
    exporter = (
        GrpcExporter(endpoint=jaeger.otlp_grpc, insecure=True)
        if protocol == "grpc"
        else HttpExporter(endpoint=f"{jaeger.otlp_http}/v1/traces")
    )
    provider = TracerProvider(resource=Resource({"service.name": f"stock-{protocol}"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("stock")
    root = tracer.start_span("root", context=Context(), kind=SpanKind.CLIENT, start_time=1_795_000_000_000_000_001)
    root.set_attributes({"text": "é", "flag": True, "number": 3, "fraction": 1.5, "list": ["x", "y"]})
    root.add_event("exception", {"exception.type": "Denied"})
    root.set_status(StatusCode.ERROR, "not for you")
    root.end(1_795_000_000_000_000_999)
    provider.shutdown()

    (shown,) = jaeger.trace(format_trace_id(root.get_span_context().trace_id))
    assert shown == ShownSpan(
        trace_id=format_trace_id(root.get_span_context().trace_id),
        span_id=format_span_id(root.get_span_context().span_id),
        parent_id="",
        name="root",
        kind=CLIENT,
        start_ns=1_795_000_000_000_000_001,
        end_ns=1_795_000_000_000_000_999,
        status=ERROR,
        status_message="not for you",
        attributes={"text": "é", "flag": True, "number": 3, "fraction": 1.5, "list": ["x", "y"]},
        events=(("exception", {"exception.type": "Denied"}),),
        resource={"service.name": f"stock-{protocol}"},
    )


@only_exec
def test_exec_is_one_trace_with_the_script_as_its_root(run: LegacyRun, jaeger: Jaeger) -> None:
    """Under `exec` there is exactly one trace; its one root is the script, with its name and exit code."""
    ((trace_id, trace),) = run.traces.items()
    assert jaeger.trace(trace_id) == trace
    (root,) = (span for span in trace if not span.parent_id)
    assert (root.name, root.kind, root.status) == (SCRIPT.name, CLIENT, UNSET)
    assert root.attributes["process.executable.name"] == Path(sys.executable).name
    assert root.attributes["process.exit.code"] == 0
    assert {span.parent_id for span in run.calls} == {root.span_id}


@only_serve
def test_serve_is_a_trace_for_each_call(run: LegacyRun) -> None:
    """Find the calls whose time the spans have that lie outside their own call's time."""
    assert {span.parent_id for span in run.calls} == {""}
    assert len(run.traces) == len(run.calls)
    assert {span.trace_id for span in run.calls} == set(run.traces)


def test_every_answer_is_shown_as_an_attempt(run: LegacyRun) -> None:
    """The attempts are AWS's answers, by request id, with the operation and the HTTP status of each."""
    expected = {answer.request_id: (answer.operation, answer.status) for answer in run.answers}
    assert len(expected) == len(run.answers)
    assert len(run.attempts) == len(run.answers)
    assert {
        span.attributes["aws.request_id"]: (
            span.name.removesuffix(" attempt").rpartition(".")[2],
            span.attributes["http.response.status_code"],
        )
        for span in run.attempts
    } == expected


def test_every_call_is_shown_with_its_attempts(run: LegacyRun) -> None:
    """The calls are the answers minus the retried ones; each has as many attempts below it as it counts."""
    asked = Counter((answer.service, answer.operation) for answer in run.answers if answer.fault != "throttle")
    shown = Counter((str(span.attributes["rpc.service"]).lower(), span.attributes["rpc.method"]) for span in run.calls)
    assert shown == asked
    for call in run.calls:
        attempts = run.attempts_of(call)
        assert {span.name for span in attempts} == {f"{call.name} attempt"}
        assert len(attempts) == call.attributes["csm.attempt_count"]
    roots_of_exec = 1 if run.command == "exec" else 0
    assert len(run.spans) == roots_of_exec + len(run.calls) + len(run.attempts)


def test_times_are_nested(run: LegacyRun) -> None:
    """Every span is within its parent: an attempt exactly, a call in the script up to CSM's rounding."""
    by_id = {span.span_id: span for span in run.spans}
    for span in run.spans:
        assert span.start_ns <= span.end_ns
        assert "csm.overrun_ms" not in span.attributes
        if span.parent_id:
            parent = by_id[span.parent_id]
            slack_ns = 0 if span in run.attempts else ROUNDING_NS
            assert parent.start_ns - slack_ns <= span.start_ns
            assert span.end_ns <= parent.end_ns + slack_ns


def test_the_throttled_call_shows_each_try(run: LegacyRun) -> None:
    """Two attempts of a call are throttled and marked as errors, the third succeeds, so the call is no error."""
    call = run.the_call("DynamoDB.PutItem", attempts=3)
    attempts = run.attempts_of(call)
    assert [span.status for span in attempts] == [ERROR, ERROR, UNSET]
    assert [span.attributes.get("error.type") for span in attempts] == [THROTTLED, THROTTLED, None]
    assert [span.attributes["http.response.status_code"] for span in attempts] == [400, 400, 200]
    assert [span.attributes["csm.attempt.number"] for span in attempts] == [1, 2, 3]
    assert [span.attributes.get("http.request.resend_count") for span in attempts] == [None, 1, 2]
    assert [len(span.events) for span in attempts] == [1, 1, 0]
    assert (call.status, call.events) == (UNSET, ())
    assert all(before.end_ns <= after.start_ns for before, after in pairwise(attempts))


@pytest.mark.parametrize(
    ("name", "status", "error_type"),
    [
        pytest.param("S3.GetObject", 403, "AccessDenied", id="denied"),
        pytest.param("S3.HeadObject", 404, "404", id="missing"),
    ],
)
def test_a_failed_call_is_flagged(run: LegacyRun, name: str, status: int, error_type: str) -> None:
    """A rejected request is an error on the call and on its attempt, with the AWS code and the exception's event."""
    call = run.the_call(name)
    for span in (call, *run.attempts_of(call)):
        assert (span.status, span.attributes["error.type"]) == (ERROR, error_type)
        assert span.attributes["http.response.status_code"] == status
        ((event, attributes),) = span.events
        assert (event, attributes["exception.type"]) == ("exception", error_type)


def test_nothing_else_is_flagged(run: LegacyRun) -> None:
    """Only the throttled attempts and the two failed calls with their attempts are errors."""
    assert Counter(span.name for span in run.spans if span.status != UNSET or "error.type" in span.attributes) == {
        "DynamoDB.PutItem attempt": 2,
        "S3.GetObject": 1,
        "S3.GetObject attempt": 1,
        "S3.HeadObject": 1,
        "S3.HeadObject attempt": 1,
    }


def test_the_tags_of_a_call(run: LegacyRun) -> None:
    """A call has the mapping's tags and no others; the request id is its last attempt's."""
    call = run.the_call("DynamoDB.PutItem", attempts=3)
    assert call.kind == CLIENT
    assert call.attributes == {
        "rpc.system": "aws-api",
        "rpc.system.name": "aws-api",
        "rpc.service": "DynamoDB",
        "rpc.method": "PutItem",
        "db.system.name": "aws.dynamodb",
        "db.operation.name": "PutItem",
        "cloud.region": "us-east-1",
        "server.address": "127.0.0.1",
        "server.port": run.port,
        "aws.request_id": run.attempts_of(call)[-1].attributes["aws.request_id"],
        "http.response.status_code": 200,
        "csm.attempt_count": 3,
        "csm.max_retries_exceeded": False,
        "csm.client_id": run.service,
        "csm.sdk": f"Boto3/{boto3.__version__}",
    }


def test_the_tags_of_an_attempt(run: LegacyRun) -> None:
    """An attempt has the mapping's tags and no others; above all none that would count it as a call."""
    attempt = run.attempts_of(run.the_call("DynamoDB.PutItem", attempts=3))[1]
    request_ids = [answer.request_id for answer in run.answers if answer.fault == "throttle"]
    assert attempt.kind == CLIENT
    assert attempt.attributes == {
        "cloud.region": "us-east-1",
        "server.address": "127.0.0.1",
        "server.port": run.port,
        "aws.request_id": request_ids[1],
        "http.response.status_code": 400,
        "http.request.resend_count": 1,
        "error.type": THROTTLED,
        "csm.attempt.number": 2,
    }


def test_the_service_is_the_script(run: LegacyRun) -> None:
    """Every span belongs to the script's service, not csm-otel's, and names csm-otel as the distribution."""
    for span in run.spans:
        assert span.resource["service.name"] == run.service
        assert span.resource["telemetry.distro.name"] == "csm-otel"


def test_no_credential_reaches_jaeger(run: LegacyRun) -> None:
    """Neither the access key nor the session token is in any span or in csm-otel's output."""
    for text in (repr(run.spans), run.stderr):
        assert ACCESS_KEY not in text
        assert SESSION_TOKEN not in text
