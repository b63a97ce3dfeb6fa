"""Batches of spans to stdout, as waterfalls: `Stdout`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from csm_otel.errors import reason_of
from csm_otel.report.terminal import wants_color
from csm_otel.report.trace_log import TraceLog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from csm_otel.spans.data import SpanData

_WIDTH = 120  # columns, for a log or a pipe


class Stdout:
    """Prints to the stdout of this process, if it has one."""

    def __init__(self, *, say: Callable[[str], None], environ: Mapping[str, str]) -> None:
        """Report with ``say`` when stdout cannot be written to; ``environ`` has a say in the colours."""
        self._say = say
        self._stream = sys.stdout  # None in a process that was started with stdout closed
        encoding = (self._stream.encoding or "") if self._stream is not None else ""
        color = self._stream is not None and wants_color(environ, is_terminal=self._stream.isatty())
        self._log = TraceLog(width=_WIDTH, color=color, ascii_only="utf" not in encoding.lower())

    def show(self, spans: Sequence[SpanData]) -> None:
        """Print the traces of a batch as waterfalls; those of processes wait for their root spans."""
        self._print(self._log.add(spans))

    def flush(self) -> None:
        """Print the traces that wait."""
        self._print(self._log.flush())

    def _print(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError as error:
            self._say(f"cannot write to stdout: {reason_of(error)}")
