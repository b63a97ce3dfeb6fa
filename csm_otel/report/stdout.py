"""Batches of spans to stdout, which is data, as waterfalls: `Stdout`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from csm_otel.errors import reason_of
from csm_otel.report.trace_log import TraceLog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from csm_otel.spans.data import SpanData

_WIDTH = 120  # columns of what goes to a log or a pipe


class Stdout:
    """This process's stdout; nothing where nobody can read it."""

    def __init__(self, *, say: Callable[[str], None]) -> None:
        """Begin with nothing printed; ``say`` takes a line for the operator when it cannot be."""
        self._say = say
        self._stream = sys.stdout  # None where this process was started with stdout closed
        encoding = (self._stream.encoding or "") if self._stream is not None else ""
        self._log = TraceLog(width=_WIDTH, ascii_only="utf" not in encoding.lower())

    def show(self, spans: Sequence[SpanData]) -> None:
        """Print a batch as a waterfall a trace; the traces of processes wait for their roots."""
        self._print(self._log.add(spans))

    def finish(self) -> None:
        """Print what waits."""
        self._print(self._log.flush())

    def _print(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError as error:
            self._say(f"cannot write to stdout: {reason_of(error)}")
