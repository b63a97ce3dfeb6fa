"""A summary as GitHub-flavoured Markdown, for a step's summary or an annotation of a build: `render_markdown`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.report.comparison import differences, remark, sums
from csm_otel.report.failed import EFFECTS, most_serious_first, result_of, when_of
from csm_otel.report.markdown_text import Table, code, fitted
from csm_otel.report.terminal import counted, duration_ms
from csm_otel.report.totals import counts_of, times_of, uncertain
from csm_otel.report.verdict import why_broken

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from csm_otel.summary.comparison import Comparison
    from csm_otel.summary.model import FailureGroup, OperationUse, Summary, Uncertainty
    from csm_otel.verdict.judgement import Judgement

MAX_BYTES = 1024 * 1024
"""Of the summary of a step on GitHub, which shows nothing of a longer one, and of an annotation of Buildkite."""
_NAME_COLUMNS = 120
_MAX_NAMES = 4  # of regions and the like


def render_markdown(
    summary: Summary,
    judgement: Judgement | None = None,
    comparison: Comparison | None = None,
    *,
    trace_url: str = "",
    room_bytes: int = MAX_BYTES,
) -> str | None:
    """Return the text, ending with a newline, or None if there is no room for it.

    ``trace_url`` is a URL without spaces and angle brackets; empty: no link. Of tables that do not fit, the last rows
    are left out, and counted.
    """
    head = "\n\n".join(_head(summary, judgement, comparison, trace_url)) + "\n"
    tables = [table for table in _tables(summary, judgement, comparison) if table.rows]
    body = fitted(tables, room_bytes - len(head.encode()))
    return None if body is None else head + body


def _head(
    summary: Summary, judgement: Judgement | None, comparison: Comparison | None, trace_url: str
) -> Iterator[str]:
    """Yield title and paragraphs."""
    run, totals = summary.run, summary.totals
    facts = [counted(totals.calls, "AWS call") if totals.calls else "no AWS calls seen"]
    facts += [f"{totals.failed:,} failed"] if totals.failed else []
    facts += [f"exit {run.exit_code}"] if run.exit_code else []
    yield f"### {code(run.name, _NAME_COLUMNS) or 'AWS calls'}: {', '.join(facts)}"
    if totals.calls:
        yield f"{counts_of(totals)}. {times_of(summary.times)}."
    where = [_listed(names) for names in (run.sdks, run.regions) if names]
    where += [f"account {_listed(run.accounts)}"] if run.accounts else []
    where += [f"not AWS's own endpoint: {_listed(run.other_endpoints)}"] if run.other_endpoints else []
    if where:
        yield "; ".join(where)
    if trace_url:
        yield f"[Trace](<{trace_url.replace('&', '&amp;')}>)"
    if judgement is not None and judgement.rules and not judgement.broken:
        yield f"{counted(len(judgement.rules), 'rule')} kept."
    if judgement is not None and judgement.baseline_failure:
        yield f"The baseline cannot be used: {code(judgement.baseline_failure)}"
    if comparison is not None:
        yield from (f"{text}." for text in (*sums(comparison), remark(comparison)) if text)


def _tables(summary: Summary, judgement: Judgement | None, comparison: Comparison | None) -> Iterator[Table]:
    """Yield all tables in their order, some of them empty."""
    failures = most_serious_first(summary.failures)
    if judgement is not None:
        rows = [(code(one.rule), code(why_broken(one))) for one in judgement.broken]
        yield Table("Broken rules", ("Rule", "What was seen"), rows)
    yield _failed(failures, summary.run.start_ns)
    yield Table("What to do", ("Error", "Advice"), list(_advice(failures)))
    if judgement is not None and judgement.baseline is not None:
        baseline = judgement.baseline
        heading = "What differs from the baseline" + (", which was updated" if baseline.updated else "")
        rows = [
            (title, code(str(entry)))
            for title, entries in (("new", baseline.new), ("gone", baseline.gone))
            for entry in entries
        ]
        yield Table(heading, ("", "Kind of call"), rows)
    if comparison is not None:
        differing = [
            (title, code(name), code(figures))
            for title, entries, _ in differences(comparison)
            for name, figures in entries
        ]
        yield Table("What differs from the run before", ("", "Name", "Figures"), differing)
    yield _operations(summary.operations)
    yield Table("Worth a look", ("Pattern",), [(code(pattern.text),) for pattern in summary.patterns])
    yield _uncertain(summary.uncertainty)


def _failed(failures: Sequence[FailureGroup], start_ns: int) -> Table:
    rows = [
        (
            code(group.name, _NAME_COLUMNS),
            code(result_of(group), _NAME_COLUMNS),
            when_of(group, start_ns),
            EFFECTS[group.effect] or "not known",
            code(group.message),
        )
        for group in failures
    ]
    return Table("What failed", ("Operation", "Result", "When", "Did it matter", "Message"), rows)


def _advice(failures: Sequence[FailureGroup]) -> Iterator[tuple[str, ...]]:
    """Yield each sentence once, with the first error that it is about."""
    errors: dict[str, str] = {}
    for group in failures:
        if group.advice:
            errors.setdefault(group.advice, group.error)
    for advice, error in errors.items():
        yield code(error, _NAME_COLUMNS), advice


def _operations(operations: Sequence[OperationUse]) -> Table:
    columns = "Operation", "", ">Calls", ">Failed", ">Retried", ">Throttled", ">p50", ">p95", ">Max", ">Total"
    rows = [
        (
            code(use.name, _NAME_COLUMNS),
            use.access.value,
            *(f"{number:,}" for number in (use.calls, use.failed, use.retried, use.throttled)),
            *map(duration_ms, (use.p50_ms, use.p95_ms, use.max_ms, use.total_ms)),
        )
        for use in operations
    ]
    return Table("Operations", columns, rows)


def _uncertain(uncertainty: Uncertainty) -> Table:
    rows = [(text, f"{number:,}") for text, number in uncertain(uncertainty)]
    return Table("What is uncertain", ("", ">Number"), rows)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(code(name, _NAME_COLUMNS) for name in names[:_MAX_NAMES])
    return f"{shown} and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else shown
