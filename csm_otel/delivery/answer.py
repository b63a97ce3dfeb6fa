"""The body of an answer that is a success, in the form that its Content-Type names: `partial_success`.

In come untrusted bytes, out go a count and a text; a body, or a field of it, that is not as specified is ignored.
Source: OTLP specification 1.x, "OTLP/HTTP Response", and protobuf's "ProtoJSON Format" for names and numbers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from csm_otel.delivery.outcome import Delivered, one_line

if TYPE_CHECKING:
    from csm_otel.delivery.destination import Destination

JSON = "application/json"
PROTOBUF = "application/x-protobuf"
HTML = "text/html"
_PROTOBUF_TYPES = {PROTOBUF, "application/protobuf", "application/vnd.google.protobuf"}
_REJECTED = {
    "traces": ("rejectedSpans", "rejected_spans"),
    "metrics": ("rejectedDataPoints", "rejected_data_points"),
}
_MESSAGE_CHARACTERS = 8 * 1024  # a message is a sentence; to search more for secrets would take its time
_BEYOND_INTEGERS = 2**63
_INTEGER = re.compile(r"-?[0-9]{1,19}")  # 64 bits, which ProtoJSON has as a string


def media_type(content_type: str, *, default: str = "") -> str:
    """Return the type of a Content-Type header without parameters, in lower case; ``default`` if it is missing."""
    return content_type.partition(";")[0].strip().lower() or default


def partial_success(body: bytes, media: str, destination: Destination) -> Delivered:
    """Return the outcome of an answer with a status of success, its message without the destination's secrets."""
    if media == JSON:
        partial = _field(_decoded(body), "partialSuccess", "partial_success")
        rejected = _integer(_field(partial, *_REJECTED[destination.signal]))
        return Delivered(max(rejected, 0), _line(_field(partial, "errorMessage", "error_message"), destination))
    if media in _PROTOBUF_TYPES and body:  # nearly all are empty, and need no protobuf
        from google.protobuf.message import DecodeError  # ruff: ignore[import-outside-top-level]
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # ruff: ignore[import-outside-top-level]
            ExportTraceServiceResponse,
        )

        try:
            # On the wire the one for metrics is the same.
            found = ExportTraceServiceResponse.FromString(body).partial_success
        except DecodeError:
            return Delivered()
        return Delivered(max(found.rejected_spans, 0), _line(found.error_message, destination))
    return Delivered()


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _field(holder: Any, *names: str) -> Any:
    """Return a field of an object by the first of its names that it has."""
    if not isinstance(holder, dict):
        return None
    return next((holder[name] for name in names if name in holder), None)


def _integer(value: Any) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < _BEYOND_INTEGERS:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _line(value: Any, destination: Destination) -> str:
    if not isinstance(value, str) or len(value) > _MESSAGE_CHARACTERS:
        return ""
    return one_line(destination.without_secrets(value))  # in this order: a secret that is cut off is not found
