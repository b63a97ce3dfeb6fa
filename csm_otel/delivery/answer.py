"""The body of an answer over HTTP, in the form that its Content-Type names: `partial_success`, `status_message`.

In come untrusted bytes, out go a count and a text; a body, or a field of it, that is not as specified is ignored.
Source: OTLP specification 1.x, "OTLP/HTTP Response", and protobuf's "ProtoJSON Format" for names and numbers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from csm_otel.delivery.outcome import Delivered, one_line

if TYPE_CHECKING:
    from csm_otel.delivery.destination import Signal

JSON = "application/json"
PROTOBUF = "application/x-protobuf"
HTML = "text/html"
_PROTOBUF_TYPES = {PROTOBUF, "application/protobuf", "application/vnd.google.protobuf"}
_REJECTED = {
    "traces": ("rejectedSpans", "rejected_spans"),
    "metrics": ("rejectedDataPoints", "rejected_data_points"),
}
_INTEGER = re.compile(r"-?[0-9]{1,19}")  # 64 bits, which ProtoJSON has as a string


def media_type(content_type: str, *, default: str = "") -> str:
    """Return the type of a Content-Type header without parameters, in lower case; ``default`` if it is missing."""
    return content_type.partition(";")[0].strip().lower() or default


def partial_success(body: bytes, media: str, signal: Signal) -> Delivered:
    """Return the outcome of an answer with a status of success."""
    if media == JSON:
        partial = _field(_decoded(body), "partialSuccess", "partial_success")
        rejected = _integer(_field(partial, *_REJECTED[signal]))
        return Delivered(max(rejected, 0), _line(_field(partial, "errorMessage", "error_message")))
    if media in _PROTOBUF_TYPES:
        try:
            # On the wire the one for metrics is the same.
            found = ExportTraceServiceResponse.FromString(body).partial_success
        except DecodeError:
            return Delivered()
        return Delivered(max(found.rejected_spans, 0), one_line(found.error_message))
    return Delivered()


def status_message(body: bytes, media: str) -> str:
    """Return the message of the google.rpc.Status of an error, on one line; "" if there is none."""
    if media == JSON:
        return _line(_field(_decoded(body), "message"))
    if media in _PROTOBUF_TYPES:
        try:
            return one_line(Status.FromString(body).message)
        except DecodeError:
            return ""
    return ""


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
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _line(value: Any) -> str:
    return one_line(value) if isinstance(value, str) else ""
