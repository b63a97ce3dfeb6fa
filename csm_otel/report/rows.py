"""A call to the rows of a waterfall: its own, and those of its attempts where it was retried, failed or incomplete."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE

from csm_otel.report.terminal import Style, Terminal, counted, duration
from csm_otel.spans.attributes import CSM_ATTEMPT_NUMBER
from csm_otel.spans.span_status import UNNAMED_ERROR
from csm_otel.summary.trace import exit_code, http_status, integer, is_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from csm_otel.spans.data import SpanData
    from csm_otel.summary.trace import Call, Interval

_MAX_ATTEMPTS = 20  # below one call; the SDKs' own limits are 3 to 11


class Row(NamedTuple):
    """A row of the table, before the columns have their widths. All text is printable."""

    name: str
    style: Style
    mark: str = ""
    offset: str = ""
    suffix: str = ""
    """Follows the name and is never truncated."""
    busy: tuple[Interval, ...] = ()
    pauses: tuple[Interval, ...] = ()
    length: str = ""
    result: str = ""
    detail: str = ""
    """Follows the result as far as there is room."""
    remark: str = ""
    """Replaces everything from the name on."""
    is_aside: bool = False
    """Whether it is between two branches of the tree, not on one."""


def rows_of(call: Call, start_ns: int, terminal: Terminal) -> Iterator[Row]:
    """Return the call's row and those below it, as a tree; offsets are from ``start_ns``."""
    yield call_row(call, start_ns, terminal)
    below = list(_rows_below(call, terminal))
    trunk, branch, end = ("| ", "|- ", "`- ") if terminal.ascii_only else ("│ ", "├ ", "└ ")
    for position, row in enumerate(below, 1):
        joint = end if position == len(below) else trunk if row.is_aside else branch
        yield row._replace(name=joint + row.name, remark=row.remark and joint + row.remark)


def call_row(call: Call, start_ns: int, terminal: Terminal) -> Row:
    """Return the row of the call alone."""
    span = call.span
    pauses = tuple(pause for pause in call.back_offs if pause)
    return Row(
        mark=_mark(call, terminal),
        offset=offset_of(span.start_ns, start_ns),
        name=terminal.printable(span.name),
        suffix=" ~" if call.is_ambiguous else "",
        # With its pauses known a call is drawn as its attempts, so that the back-off is visible.
        busy=tuple((each.start_ns, each.end_ns) for each in (call.attempts if pauses else (span,))),
        pauses=pauses,
        length=duration(span.end_ns - span.start_ns),
        result=_call_result(call, terminal),
        style=_style(call),
    )


def offset_of(at_ns: int, start_ns: int) -> str:
    """Return how long after ``start_ns`` something was: ``+3 ms``; before it: ``-3 ms``, as clocks differ."""
    return ("+" if at_ns >= start_ns else "") + duration(at_ns - start_ns)


def _rows_below(call: Call, terminal: Terminal) -> Iterator[Row]:
    span = call.span
    color = Style.RED if span.is_error else Style.YELLOW
    if message := terminal.printable(span.status_message):
        yield Row(name="", remark=message, style=color, is_aside=True)
    if span.is_error or call.attempt_count > 1 or any(attempt.is_error for attempt in call.attempts):
        shown = call.attempts[:_MAX_ATTEMPTS]
        for attempt, pause in zip_longest(shown, call.back_offs[: len(shown)]):
            yield _attempt_row(attempt, span, color, terminal)
            if pause:
                yield _pause_row(pause)
        if more := len(call.attempts) - len(shown):
            yield Row(name="", remark=f"... and {counted(more, 'more attempt')}", style=Style.DIM)
    if call.attempts_missing:
        yield Row(name="", remark=f"{counted(call.attempts_missing, 'attempt')} not seen", style=color)


def _attempt_row(attempt: SpanData, call: SpanData, color: Style, terminal: Terminal) -> Row:
    number = integer(attempt, CSM_ATTEMPT_NUMBER)
    message = terminal.printable(attempt.status_message) if attempt.status_message != call.status_message else ""
    return Row(
        name="attempt" if number is None else f"attempt {number}",
        busy=((attempt.start_ns, attempt.end_ns),),
        length=duration(attempt.end_ns - attempt.start_ns),
        result=_result(attempt, terminal),
        detail=message and f": {message}",
        style=color if attempt.is_error else Style.PLAIN,
    )


def _pause_row(pause: Interval) -> Row:
    length = duration(pause[1] - pause[0])
    return Row(name="", pauses=(pause,), length=length, result="back-off", style=Style.DIM, is_aside=True)


def _mark(call: Call, terminal: Terminal) -> str:
    if call.span.is_error:
        return "x" if terminal.ascii_only else "✗"
    return "!" if call.is_not_sent else ""


def _style(call: Call) -> Style:
    if call.span.is_error:
        return Style.RED
    if call.is_not_sent:
        return Style.LOUD
    return Style.YELLOW if call.attempt_count > 1 or call.attempts_missing or call.is_orphan else Style.PLAIN


def _call_result(call: Call, terminal: Terminal) -> str:
    if call.is_not_sent:
        return "NO REQUEST SENT"
    facts = [_result(call.span, terminal)]
    if call.attempt_count > 1:
        facts.append(counted(call.attempt_count, "attempt"))
    if call.is_orphan:
        facts.append("call not seen")
    return ", ".join(fact for fact in facts if fact)


def _result(span: SpanData, terminal: Terminal) -> str:
    status, code = http_status(span), exit_code(span)
    error_type = span.attribute(ERROR_TYPE)
    error = terminal.printable("" if error_type is None else str(error_type))
    code_text = str(status) if status is not None else "" if code is None else f"exit {code}"
    if error == UNNAMED_ERROR or (span.is_error and not error):
        error = "failed"
    elif error in {str(status), str(code)}:
        error = ""
    return f"{code_text} {error}".strip() or ("" if is_process(span) else "no status")
