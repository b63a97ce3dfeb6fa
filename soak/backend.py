"""A back end that counts: `CountingBackend`.

It keeps only a name and an id of each span, so that it may run long. A log record with the text of a datagram counts
as the datagram's span.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING

from otlp_backend import OK, Answer, HttpBackend

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class CountingBackend(HttpBackend):
    """Accepts spans over OTLP/HTTP and counts how often each arrived."""

    def __init__(self, *, port: int = 0, delay_seconds: float = 0.0, keeps_names: bool = True) -> None:
        """Answer each request after ``delay_seconds``; with ``keeps_names`` False only `spans_arrived` is counted."""
        super().__init__(port=port)
        self._delay_seconds = delay_seconds
        self._keeps_names = keeps_names
        self.port = self._server.server_port
        self.arrivals: Counter[tuple[str, bytes]] = Counter()
        """How often each span has arrived, by its name and id."""
        self.spans_arrived = 0
        """All spans that arrived, repeats included."""

    @property
    def names(self) -> set[str]:
        """The names of the arrived spans."""
        with self._changed:
            return {name for name, _ in self.arrivals}

    def wait_for_spans(self, count: int, *, deadline_seconds: float) -> float:
        """Wait until ``count`` different spans have arrived, at most until the deadline; return the seconds it took."""
        began = time.monotonic()
        with self._changed:
            self._changed.wait_for(lambda: len(self.arrivals) >= count, deadline_seconds)
        return time.monotonic() - began

    def _receive(self, request: ExportTraceServiceRequest, headers: dict[str, str], peer: str) -> Answer:
        del request, headers, peer
        if self._delay_seconds:
            self._is_over.wait(self._delay_seconds)
        return OK

    def _accept(self, request: ExportTraceServiceRequest) -> None:
        spans = [
            span
            for resource_spans in request.resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
        ]
        self._count((span.name, span.span_id) for span in spans)

    def _receive_logs(self, request: ExportLogsServiceRequest) -> None:
        self._count(
            (_name_in(record.body.string_value), b"")
            for resource_logs in request.resource_logs
            for scope_logs in resource_logs.scope_logs
            for record in scope_logs.log_records
        )

    def _count(self, arrived: Iterable[tuple[str, bytes]]) -> None:
        found = list(arrived)
        with self._changed:
            self.spans_arrived += len(found)
            if self._keeps_names:
                self.arrivals.update(found)
            self._changed.notify_all()


def _name_in(datagram: str) -> str:
    event = json.loads(datagram)
    return f"{event['Service']}.{event['Api']}" + (" attempt" if event["Type"] == "ApiCallAttempt" else "")
