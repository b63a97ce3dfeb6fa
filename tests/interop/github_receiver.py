"""What the Collector's githubreceiver makes of the events of a workflow run: `spans_of_run`.

The receiver asks for a webhook of GitHub's, which no machine of ours has. Names, ids and parents of its spans follow
trace_event_handling.go of its version 0.151, in which the feature gate UseCheckRunID is on, and of those before.
"""

from __future__ import annotations

import hashlib
import urllib.request
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

_ANSWER_SECONDS = 30.0


class Step(NamedTuple):
    """A step of a job; times are epoch nanoseconds."""

    name: str
    start_ns: int
    end_ns: int


class WorkflowRun(NamedTuple):
    """A run of a workflow with one job, as its webhook events have it."""

    name: str
    run_id: int
    attempt: int
    job: str
    check_run_id: int
    steps: Sequence[Step]

    @property
    def trace_id(self) -> bytes:
        """Its trace."""
        return _digest(f"{self.run_id}{self.attempt}t")[:16]


def spans_of_run(run: WorkflowRun, *, by_check_run_id: bool = True) -> ExportTraceServiceRequest:
    """Return the spans of the run, its job, the time in the queue, and the steps.

    Without ``by_check_run_id`` their ids are those of older receivers.
    """
    run_span = _span_id(f"{run.run_id}{run.attempt}s")
    old = f"{run.run_id}{run.attempt}{run.job}"
    job_span = _span_id(f"{run.check_run_id}-j" if by_check_run_id else old)
    queued = f"queue-{run.job}"
    queue_span = _span_id(f"{run.check_run_id}-q" if by_check_run_id else f"{old}{queued}1")
    start_ns, end_ns = run.steps[0].start_ns, run.steps[-1].end_ns
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    of_resource.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value="workflows")))
    spans = of_resource.scope_spans.add().spans

    def add(name: str, span_id: bytes, parent: bytes, start_ns: int, end_ns: int) -> None:
        spans.add(
            trace_id=run.trace_id,
            span_id=span_id,
            parent_span_id=parent,
            name=name,
            kind=Span.SPAN_KIND_INTERNAL if parent else Span.SPAN_KIND_SERVER,
            start_time_unix_nano=start_ns,
            end_time_unix_nano=end_ns,
            status=Status(code=Status.STATUS_CODE_OK, message="success"),
        )

    add(run.name, run_span, b"", start_ns, end_ns)
    add(run.job, job_span, run_span, start_ns, end_ns)
    add(queued, queue_span, job_span, start_ns, start_ns)
    for number, step in enumerate(run.steps, 1):
        of_step = f"{run.check_run_id}-{step.name}-s" if by_check_run_id else f"{old}{step.name}{number}"
        add(step.name, _span_id(of_step), job_span, step.start_ns, step.end_ns)
    return request


def export(request: ExportTraceServiceRequest, endpoint: str) -> None:
    """Send spans to a base endpoint for OTLP over HTTP."""
    post = urllib.request.Request(
        f"{endpoint}/v1/traces",
        request.SerializeToString(),
        {"Content-Type": "application/x-protobuf"},
    )
    # Straight to loopback, whatever proxy the environment has.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(post, timeout=_ANSWER_SECONDS) as answer:
        assert answer.status == 200


def _span_id(text: str) -> bytes:
    return _digest(text)[8:16]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
