"""What is collected of a run's spans, to be printed or summarised: `Views`."""

from __future__ import annotations

import os
import shutil
from functools import cached_property
from typing import TYPE_CHECKING

from csm_otel.commands.report_files import RunResult, are_wanted, needs_calls, wants_annotations, write_reports
from csm_otel.report.terminal import wants_color

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TextIO

    from csm_otel.config.settings import Settings
    from csm_otel.report.trace_buffer import TraceBuffer
    from csm_otel.spans.data import SpanData
    from csm_otel.summary.builder import SummaryBuilder
    from csm_otel.summary.calls import Calls
    from csm_otel.summary.comparison import Comparison
    from csm_otel.summary.model import Summary
    from csm_otel.verdict.judgement import Judgement

_FALLBACK_WIDTH = 100  # columns, if the output is no terminal
_LONG_RUN_CALLS = 40  # with more, a run has an overview


class Views:
    """Collects spans. What is made of them is loaded when it is needed, as most runs are short."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keeps_calls = needs_calls(settings)
        self._first: list[Sequence[SpanData]] = []
        """Those that are not in the builder, which short runs do without."""
        self.before: Summary | None = None
        """The run to compare this one with."""

    @cached_property
    def buffer(self) -> TraceBuffer:
        """The spans to be printed."""
        from csm_otel.report.trace_buffer import TraceBuffer  # ruff: ignore[import-outside-top-level]

        return TraceBuffer()

    @cached_property
    def _calls(self) -> Calls:
        from csm_otel.summary.calls import Calls  # ruff: ignore[import-outside-top-level]

        return Calls()

    @cached_property
    def _builder(self) -> SummaryBuilder:
        from csm_otel.summary.builder import SummaryBuilder  # ruff: ignore[import-outside-top-level]

        return SummaryBuilder()

    def show(self, spans: Sequence[SpanData]) -> None:
        """Add spans to be printed."""
        self.buffer.add(spans)

    def summarise(self, spans: Sequence[SpanData]) -> None:
        """Add the spans of a call, or the command's."""
        self._first.append(spans)
        if self._keeps_calls:
            self._calls.add(spans)
        if len(self._first) > _LONG_RUN_CALLS + 1:  # the command's own span is one of them
            self._add_to_builder()

    def render(self, stream: TextIO, *, is_file: bool = False) -> str:
        """Return what is printed of the run; ``is_file``: to a file of the user's own."""
        from csm_otel.report.screen import render_run  # ruff: ignore[import-outside-top-level]

        settings = self._settings
        is_terminal = stream.isatty()
        # Colours are forced upon what a log viewer shows, not upon a file of the user's own.
        is_colored = wants_color(os.environ, is_terminal=is_terminal) and (is_terminal or not is_file)
        is_long = "_builder" in self.__dict__
        width = shutil.get_terminal_size((_FALLBACK_WIDTH, 24)).columns if is_terminal else _FALLBACK_WIDTH
        ascii_only = "utf" not in (stream.encoding or "").lower()
        run = render_run(
            self.buffer,
            self.summary() if is_long or not settings.waterfall else None,
            width=width,
            color=is_colored,
            ascii_only=ascii_only,
            waterfall=settings.waterfall,
            everything=settings.all,
            only_failed=settings.only_failed,
            sort=settings.sort,
        )
        comparison = self._comparison()
        if comparison is None:
            return run
        from csm_otel.report.comparison import render_comparison  # ruff: ignore[import-outside-top-level]

        return f"{run}\n{render_comparison(comparison, width=width, color=is_colored, ascii_only=ascii_only)}"

    def write_files(self, judgement: Judgement | None, *, say: Callable[[str], None]) -> bool:
        """Write the files that are asked for, and return whether all could be written; see `write_reports`."""
        if not are_wanted(self._settings):
            return True
        result = RunResult(self.summary(), self._calls, judgement, self._comparison())
        return write_reports(self._settings, result, say=say)

    def annotations(self, judgement: Judgement | None) -> str:
        """Return the lines for the runner of the pipeline; empty if none are wanted, or there is nothing to report."""
        if not wants_annotations(self._settings, os.environ) or (judgement is None and self._went_well()):
            return ""
        from csm_otel.report.annotations import render_annotations  # ruff: ignore[import-outside-top-level]
        from csm_otel.report.findings import findings_of  # ruff: ignore[import-outside-top-level]
        from csm_otel.report.links import trace_link  # ruff: ignore[import-outside-top-level]

        summary = self.summary()
        trace_url = trace_link(self._settings.trace_url, summary.run.trace_id)
        return render_annotations(findings_of(summary, judgement), trace_url=trace_url)

    def _went_well(self) -> bool:
        """Return whether a short run has nothing to report, without the time that a summary takes."""
        is_short = "_builder" not in self.__dict__
        return is_short and not any(span.is_error for spans in self._first for span in spans)

    def summary(self) -> Summary:
        """Return the summary of all spans so far."""
        self._add_to_builder()
        return self._builder.build()

    def _comparison(self) -> Comparison | None:
        if self.before is None:
            return None
        from csm_otel.summary.comparison import compare  # ruff: ignore[import-outside-top-level]

        return compare(self.before, self.summary())

    def _add_to_builder(self) -> None:
        for spans in self._first:
            self._builder.add(spans)
        self._first.clear()
