"""OTLP JSON lines: one request a line, as the collector's otlpjsonfile receiver reads them.

Source: OTLP specification 1.x, "JSON Protobuf Encoding": protobuf's JSON, but with ids in hex and enums as numbers.
"""

from __future__ import annotations

import base64
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import msgspec
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from csm_otel.files.line_file import PATIENCE_SECONDS, REOPEN, LineFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from google.protobuf.message import Message
    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

_ID_KEYS = ("traceId", "spanId")


class OtlpJsonFile:
    """Appends requests to a file, which is created for its owner only."""

    def __init__(
        self, path: Path, *, patience_seconds: float = PATIENCE_SECONDS, say: Callable[[str], None] | None = None
    ) -> None:
        """Open ``path``, see `LineFile.open`.

        ``say`` is called with a line for the operator when writing begins to fail.

        Raises:
            SettingsError: the file cannot be opened, or is a named pipe without a reader.
        """
        self._lines = LineFile.open(path, flag="--file", patience_seconds=patience_seconds, say=say)

    def write(self, request: bytes) -> bool:
        """Append one request as a line, and return whether it was written; see `LineFile.append`."""
        if request == REOPEN:
            self._lines.reopen()
            return True
        return self._lines.append([msgspec.json.encode(otlp_json(request)) + b"\n"]) == 1

    def append(self, requests: Sequence[bytes]) -> int:
        """Append requests and return how many were written: all, or those before the one that failed."""
        return sum(1 for _ in takewhile(self.write, requests))

    @property
    def is_failing(self) -> bool:
        """Whether the last write failed."""
        return self._lines.is_failing

    @property
    def waits_for_reader(self) -> bool:
        """Whether it is a pipe whose reader may take any time, see `LineFile`."""
        return self._lines.waits_for_reader

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


def otlp_json(request: bytes) -> dict[str, Any]:
    """Return an encoded request as OTLP/JSON.

    Spans are converted here and not by protobuf, which is less than half as fast.
    """
    message = ExportTraceServiceRequest.FromString(request)
    spans = [[list(map(_span, scope.spans)) for scope in resource.scope_spans] for resource in message.resource_spans]
    for resource in message.resource_spans:
        for scope in resource.scope_spans:
            del scope.spans[:]
    converted: dict[str, Any] = _as_dict(message)
    for resource_spans, of_resource in zip(converted.get("resourceSpans", ()), spans, strict=True):
        for scope_spans, of_scope in zip(resource_spans.get("scopeSpans", ()), of_resource, strict=True):
            if of_scope:
                scope_spans["spans"] = of_scope
    return converted


def _as_dict(message: Message) -> dict[str, Any]:
    converted: dict[str, Any] = MessageToDict(message, use_integers_for_enums=True)
    return converted


def _span(span: Span) -> dict[str, Any]:
    items = (
        ("traceId", span.trace_id.hex()),
        ("spanId", span.span_id.hex()),
        ("traceState", span.trace_state),
        ("parentSpanId", span.parent_span_id.hex()),
        ("flags", span.flags),
        ("name", span.name),
        ("kind", span.kind),
        ("startTimeUnixNano", _integer(span.start_time_unix_nano)),
        ("endTimeUnixNano", _integer(span.end_time_unix_nano)),
        ("attributes", [_attribute(attribute) for attribute in span.attributes]),
        ("droppedAttributesCount", span.dropped_attributes_count),
        ("events", [_event(event) for event in span.events]),
        ("droppedEventsCount", span.dropped_events_count),
        ("links", [_link(link) for link in span.links]),
        ("droppedLinksCount", span.dropped_links_count),
    )
    converted: dict[str, Any] = {key: value for key, value in items if value}  # JSON has no defaults
    if span.HasField("status"):
        status = (("message", span.status.message), ("code", span.status.code))
        converted["status"] = {key: value for key, value in status if value}
    return converted


def _event(event: Span.Event) -> dict[str, Any]:
    items = (
        ("timeUnixNano", _integer(event.time_unix_nano)),
        ("name", event.name),
        ("attributes", [_attribute(attribute) for attribute in event.attributes]),
        ("droppedAttributesCount", event.dropped_attributes_count),
    )
    return {key: value for key, value in items if value}


def _link(link: Span.Link) -> dict[str, Any]:
    converted = _as_dict(link)
    for key in _ID_KEYS:
        if key in converted:
            converted[key] = base64.b64decode(converted[key]).hex()
    return converted


def _attribute(attribute: KeyValue) -> dict[str, Any]:
    value = attribute.value
    if text := value.string_value:  # as nearly all have
        return {"key": attribute.key, "value": {"stringValue": text}}
    kind = value.WhichOneof("value")
    if kind == "int_value":
        return {"key": attribute.key, "value": {"intValue": str(value.int_value)}}
    if kind == "bool_value":
        return {"key": attribute.key, "value": {"boolValue": value.bool_value}}
    return _as_dict(attribute)


def _integer(number: int) -> str:
    """Return a number of 64 bits as protobuf's JSON has it: a string."""
    return str(number) if number else ""
