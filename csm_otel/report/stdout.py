"""Batches of spans to stdout, which is data, as waterfalls: `show_on_stdout`."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from csm_otel.report.waterfall import render_waterfall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csm_otel.spans.data import SpanData

_WIDTH = 120  # columns of what goes to a log or a pipe


def show_on_stdout(spans: Sequence[SpanData]) -> None:
    """Print a batch as a waterfall a trace; nothing where nobody can read it."""
    if sys.stdout is None:  # this process was started with stdout closed
        return
    ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
    with contextlib.suppress(OSError):
        sys.stdout.write(render_waterfall(spans, width=_WIDTH, color=False, ascii_only=ascii_only))
        sys.stdout.flush()
