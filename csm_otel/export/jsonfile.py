"""OTLP JSON lines: one request a line, as the collector's otlpjsonfile receiver reads them.

Source: OTLP specification 1.x, "JSON Protobuf Encoding": protobuf's JSON, but with ids in hex and enums as numbers.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from csm_otel.line_file import LineFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_ID_KEYS = ("traceId", "spanId", "parentSpanId")


class OtlpJsonFile:
    """Appends requests to a file, which is made for its owner only."""

    def __init__(self, path: Path, *, say: Callable[[str], None] | None = None) -> None:
        """Open ``path``; ``say`` takes a line for the operator when writing begins to fail.

        Raises:
            SettingsError: the file cannot be opened, or is a named pipe that nobody reads.
        """
        self._lines = LineFile.open(path, flag="--file", say=say)

    def write(self, request: bytes) -> bool:
        """Append one request as a line, and tell whether it is there; see `LineFile.append`."""
        line = json.dumps(otlp_json(request), separators=(",", ":"), ensure_ascii=False) + "\n"
        return self._lines.append(line.encode())

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


def otlp_json(request: bytes) -> dict[str, Any]:
    """Return an encoded request as OTLP/JSON."""
    message: dict[str, Any] = MessageToDict(ExportTraceServiceRequest.FromString(request), use_integers_for_enums=True)
    for span in _spans(message):
        for item in (span, *span.get("links", ())):
            for key in _ID_KEYS:
                if key in item:
                    item[key] = base64.b64decode(item[key]).hex()
    return message


def _spans(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for resource_spans in message.get("resourceSpans", ()):
        for scope_spans in resource_spans.get("scopeSpans", ()):
            yield from scope_spans.get("spans", ())
