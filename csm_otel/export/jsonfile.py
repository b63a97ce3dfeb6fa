"""OTLP JSON lines: one request a line, as the collector's otlpjsonfile receiver reads them.

Source: OTLP specification 1.x, "JSON Protobuf Encoding": protobuf's JSON, but with ids in hex and enums as numbers.
"""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from csm_otel.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_ID_KEYS = ("traceId", "spanId", "parentSpanId")


class OtlpJsonFile:
    """Appends requests to a file, which is made for its owner only."""

    def __init__(self, path: Path, *, say: Callable[[str], None] | None = None) -> None:
        """Open ``path``; ``say`` takes a line for the operator when writing begins to fail.

        Raises:
            SettingsError: the file cannot be opened.
        """
        self._path = path
        self._say = say
        self._is_failing = False
        self._is_torn = False
        try:
            # Unbuffered: a line is in the file when `write` returns.
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SettingsError([f"--file {path}: {error.strerror}"]) from error

    def write(self, request: bytes) -> bool:
        """Append one request as a line, and tell whether it is there.

        After a write that failed halfway (disk full) the next one starts a line of its own.
        """
        line = (json.dumps(otlp_json(request), separators=(",", ":"), ensure_ascii=False) + "\n").encode()
        if self._is_torn:
            line = b"\n" + line
        written = 0
        try:
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
        except OSError as error:
            self._is_torn = self._is_torn or written > 0
            if self._say is not None and not self._is_failing:
                self._say(f"cannot write to {self._path}: {error.strerror}")
            self._is_failing = True
            return False
        self._is_torn = self._is_failing = False
        return True

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


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
