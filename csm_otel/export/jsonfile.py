"""OTLP JSON lines: one request a line, as the collector's otlpjsonfile receiver reads them.

Source: OTLP specification 1.x, "JSON Protobuf Encoding": protobuf's JSON, but with ids in hex and enums as numbers.

The file may also be a named pipe or a device. Such a one is never waited for longer than ``PATIENCE_SECONDS``: the loop
that receives datagrams writes here, and a reader that has stalled must not stop it.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import select
import stat
import time
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from csm_otel.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE_SECONDS = 1.0
"""How long a line may wait for the reader of a pipe: one of many spans is longer than the 64 KiB a pipe can hold."""

_MS = 1000.0
_ID_KEYS = ("traceId", "spanId", "parentSpanId")


class OtlpJsonFile:
    """Appends requests to a file, which is made for its owner only."""

    def __init__(self, path: Path, *, say: Callable[[str], None] | None = None) -> None:
        """Open ``path``; ``say`` takes a line for the operator when writing begins to fail.

        Raises:
            SettingsError: the file cannot be opened, or is a named pipe that nobody reads.
        """
        self._path = path
        self._say = say
        self._is_failing = False
        self._is_torn = False
        # Unbuffered: a line is in the file when `write` returns.
        # Non-blocking: to open a pipe that nobody reads would take for ever.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            self._descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            is_unread = error.errno == errno.ENXIO and path.is_fifo()
            why = "nobody reads this pipe" if is_unread else error.strerror
            raise SettingsError([f"--file {path}: {why}"]) from error
        if stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            os.set_blocking(self._descriptor, True)

    def write(self, request: bytes) -> bool:
        """Append one request as a line, and tell whether it is there.

        After a write that failed halfway (disk full, reader stalled) the next one starts a line of its own. A pipe's
        reader that has stalled costs ``PATIENCE_SECONDS`` once; until it reads again the writes fail at once.
        """
        line = (json.dumps(otlp_json(request), separators=(",", ":"), ensure_ascii=False) + "\n").encode()
        if self._is_torn:
            line = b"\n" + line
        written, fault = self._append(line)
        if fault:
            self._is_torn = self._is_torn or written > 0
            if self._say is not None and not self._is_failing:
                self._say(f"cannot write to {self._path}: {fault}")
            self._is_failing = True
            return False
        self._is_torn = self._is_failing = False
        return True

    def _append(self, line: bytes) -> tuple[int, str]:
        """Write a line; return how many bytes are there and, unless it is all of them, what is wrong."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        written = 0
        while written < len(line):
            try:
                written += os.write(self._descriptor, line[written:])
            except BlockingIOError:
                has_stalled = self._is_failing and not written
                if has_stalled or not self._has_room(deadline):
                    return written, "its reader has stalled"
            except OSError as error:
                return written, error.strerror or type(error).__name__
        return written, ""

    def _has_room(self, deadline: float) -> bool:
        """Wait until a write can go on, but no longer than to the monotonic second ``deadline``."""
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            return False
        poller = select.poll()
        poller.register(self._descriptor, select.POLLOUT)
        return bool(poller.poll(seconds * _MS))

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
