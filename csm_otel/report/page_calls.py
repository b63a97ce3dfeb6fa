"""Calls to what the page shows of them: the rows of its table, and columns for its script.

Columns are what 100,000 calls need to be small and quick to read: lists of integers, with each distinct text once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.semconv._incubating.attributes.aws_attributes import AWS_REQUEST_ID
from opentelemetry.semconv._incubating.attributes.cloud_attributes import CLOUD_REGION
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE

from csm_otel.report.failed import status_and_error
from csm_otel.report.rows import offset_of
from csm_otel.report.terminal import duration, printable, shown
from csm_otel.spans.span_status import UNNAMED_ERROR
from csm_otel.summary.trace import http_status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csm_otel.spans.data import SpanData
    from csm_otel.summary.trace import Call

_MAX_ROWS = 5_000  # about 1 MB, which browsers lay out at once
_MAX_ATTEMPTS = 20  # drawn of one call; the SDKs' own limits are 3 to 11
_MAX_ERROR_COLUMNS = 60
_NS_PER_US = 1_000

_OF_CALLS = ("start", "length", "name", "result", "message", "region", "request", "failed", "tries", "attempts")
_OF_ATTEMPTS = ("start", "length", "result", "failed", "pause")

Columns = dict[str, list[str] | dict[str, list[int]]]


class Row(NamedTuple):
    """A row of the table of calls."""

    start: str
    start_us: int
    name: str
    length: str
    length_us: int
    attempts: int
    result: str
    is_error: bool
    message: str


def listed_calls(calls: Sequence[Call]) -> list[Call]:
    """Return the calls that have rows, in order of start: at most 5,000, those that failed before the others."""
    return _in_order(sorted(calls, key=lambda call: not call.span.is_error)[:_MAX_ROWS])


def row_of(call: Call, start_ns: int) -> Row:
    """Return the row of a call; ``start_ns`` is when the run began."""
    span = call.span
    return Row(
        start=offset_of(span.start_ns, start_ns),
        start_us=_us(span.start_ns - start_ns),
        name=span.name,
        length=duration(span.end_ns - span.start_ns),
        length_us=_us(span.end_ns - span.start_ns),
        attempts=call.attempt_count,
        result=_result(call),
        is_error=span.is_error,
        message=span.status_message,
    )


def columns_of_calls(calls: Sequence[Call], listed: Sequence[Call], start_ns: int) -> Columns:
    """Return all calls in order of start, with the attempts of those that were retried, each by its columns.

    ``texts`` has each text once, the empty one first; elsewhere texts are positions in it. Times are in microseconds:
    the starts of calls are differences to the one before, those of attempts to their calls'. The column ``attempts``
    of the calls is how many of the attempts are theirs, ``tries`` how many there were. Messages and request ids, which
    may all differ, are those of the ``listed`` calls.
    """
    texts = _Texts()
    columns: dict[str, list[int]] = {name: [] for name in _OF_CALLS}
    tries: dict[str, list[int]] = {name: [] for name in _OF_ATTEMPTS}
    with_details = set(map(id, listed))
    before_us = 0
    for call in _in_order(calls):
        span = call.span
        start_us = _us(span.start_ns - start_ns)
        drawn = call.attempts[:_MAX_ATTEMPTS] if len(call.attempts) > 1 else ()
        has_details = id(call) in with_details
        _append(
            columns,
            start=start_us - before_us,
            length=_us(span.end_ns - span.start_ns),
            name=texts.position(span.name),
            result=texts.position(_result(call)),
            message=texts.position(span.status_message if has_details else ""),
            region=texts.position(str(span.attribute(CLOUD_REGION) or "")),
            request=texts.position(str(span.attribute(AWS_REQUEST_ID) or "") if has_details else ""),
            failed=int(span.is_error),
            tries=call.attempt_count,
            attempts=len(drawn),
        )
        before_us = start_us
        pauses = (*call.back_offs, *[None] * len(drawn))
        for attempt, pause in zip(drawn, pauses, strict=False):
            _append(
                tries,
                start=_us(attempt.start_ns - span.start_ns),
                length=_us(attempt.end_ns - attempt.start_ns),
                result=texts.position(_result_of(attempt)),
                failed=int(attempt.is_error),
                pause=_us(pause[1] - pause[0]) if pause else 0,
            )
    return {"texts": texts.printable, "calls": columns, "attempts": tries}


def cell_of(status: int | None, error: str) -> str:
    """Return status and error; a code is one word, which must not widen its column."""
    return status_and_error(status, shown(error, _MAX_ERROR_COLUMNS))


class _Texts:
    """Distinct texts of senders, made printable."""

    def __init__(self) -> None:
        self._positions = {"": 0}
        self.printable = [""]

    def position(self, text: str) -> int:
        """Return where in the list the text is."""
        position = self._positions.get(text)
        if position is None:
            position = self._positions[text] = len(self.printable)
            self.printable.append(printable(text))
        return position


def _append(columns: dict[str, list[int]], **values: int) -> None:
    for name, value in values.items():
        columns[name].append(value)


def _in_order(calls: Sequence[Call]) -> list[Call]:
    return sorted(calls, key=lambda call: (call.span.start_ns, call.span.end_ns))


def _result(call: Call) -> str:
    return "no request sent" if call.is_not_sent else _result_of(call.span)


def _result_of(span: SpanData) -> str:
    return cell_of(http_status(span), str(span.attribute(ERROR_TYPE) or (UNNAMED_ERROR if span.is_error else "")))


def _us(nanoseconds: int) -> int:
    return nanoseconds // _NS_PER_US
