"""The rows of a call: the content of each column, and the rows below it."""

from __future__ import annotations

from typing import Any

import pytest
from flat import flat_span

from csm_otel.report.rows import Row, rows_of
from csm_otel.report.terminal import Style, Terminal
from csm_otel.spans.data import AttributeValue, Resource, SpanData, SpanKind, SpanRole, TraceContext
from csm_otel.summary.trace import Call

MS = 1_000_000
PLAIN = Terminal(100)


def span(
    start: int,
    end: int,
    *,
    role: SpanRole = SpanRole.ATTEMPT,
    error: str = "",
    message: str = "",
    status: int | None = 200,
    **attributes: AttributeValue,
) -> SpanData:
    """Return a span, with times in ms and `a__b` for the attribute `a.b`."""
    values: dict[str, AttributeValue | None] = {
        "http.response.status_code": status,
        "error.type": error or None,
        **{name.replace("__", "."): value for name, value in attributes.items()},
    }
    return flat_span(
        role=role,
        name="S3.GetObject",
        kind=SpanKind.CLIENT,
        context=TraceContext(trace_id=1, span_id=start + 1),
        parent=None,
        start_ns=start * MS,
        end_ns=end * MS,
        attributes={name: value for name, value in values.items() if value is not None},
        is_error=bool(error),
        status_message=message,
        resource=Resource(()),
    )


def call(*attempts: SpanData, **changes: Any) -> Call:
    """Return a call from 10 to 100 ms."""
    return Call(span=span(10, 100, role=SpanRole.CALL, **changes), attempts=attempts)


def rows(one: Call, terminal: Terminal = PLAIN) -> list[Row]:
    """Return the rows of a call in a trace that began at 0 ms."""
    return list(rows_of(one, 0, terminal))


def lines(one: Call, terminal: Terminal = PLAIN) -> list[str]:
    """Return names, remarks and results of the rows."""
    return [f"{row.remark or row.name} {row.length} {row.result}{row.detail}".strip() for row in rows(one, terminal)]


def test_a_healthy_call_is_one_row() -> None:
    """A call that went well in one attempt needs no more."""
    (row,) = rows(call(span(11, 99)))

    assert row == Row(
        name="S3.GetObject",
        style=Style.PLAIN,
        offset="+10 ms",
        busy=((10 * MS, 100 * MS),),
        length="90 ms",
        result="200",
    )


def test_a_retried_call() -> None:
    """The attempts of a retried call and the pauses between them are a tree below it, drawn in its bar as well."""
    first = span(10, 20, error="SlowDown", message="slow", status=503, csm__attempt__number=1)
    one = call(first, span(60, 100, csm__attempt__number=2))

    assert lines(one) == [
        "S3.GetObject 90 ms 200, 2 attempts",
        "├ attempt 1 10 ms 503 SlowDown: slow",
        "│  40 ms back-off",
        "└ attempt 2 40 ms 200",
    ]
    head, failed, pause, last = rows(one)
    assert (head.busy, head.pauses) == (((10 * MS, 20 * MS), (60 * MS, 100 * MS)), ((20 * MS, 60 * MS),))
    assert [row.style for row in (head, failed, pause, last)] == [Style.YELLOW, Style.YELLOW, Style.DIM, Style.PLAIN]


def test_a_failed_call() -> None:
    """Its message is a separate row, which its attempt does not repeat."""
    failure: dict[str, Any] = {"error": "AccessDenied", "message": "not authorized", "status": 403}
    one = call(span(11, 99, csm__attempt__number=1, **failure), **failure)

    assert lines(one) == [
        "S3.GetObject 90 ms 403 AccessDenied",
        "│ not authorized",
        "└ attempt 1 88 ms 403 AccessDenied",
    ]
    assert [(row.mark, row.style) for row in rows(one)] == [("✗", Style.RED), ("", Style.RED), ("", Style.RED)]


def test_ascii() -> None:
    """A stream without UTF-8 gets the same tree and mark in ASCII."""
    failure: dict[str, Any] = {"error": "AccessDenied", "message": "not authorized", "status": 403}

    assert [
        row.mark + row.name + row.remark for row in rows(call(span(11, 99), **failure), Terminal(100, ascii_only=True))
    ] == [
        "xS3.GetObject",
        "| | not authorized",
        "`- attempt",
    ]


def test_missing_attempts() -> None:
    """A call that counts more attempts than were seen has a row for them, though it succeeded."""
    assert lines(call(span(11, 99), csm__attempt_count=3, csm__attempts_missing=2)) == [
        "S3.GetObject 90 ms 200, 3 attempts",
        "├ attempt 88 ms 200",
        "└ 2 attempts not seen",
    ]


def test_many_attempts_are_cut() -> None:
    """Beyond twenty attempts the rest is a number."""
    shown = lines(call(*(span(10 + number, 11 + number) for number in range(25))))

    assert len(shown) == 1 + 20 + 1
    assert shown[-1] == "└ ... and 5 more attempts"


@pytest.mark.parametrize(
    ("one", "expected", "style"),
    [
        pytest.param(call(csm__outcome="not_sent", status=None), "NO REQUEST SENT", Style.LOUD, id="not-sent"),
        pytest.param(call(status=None), "no status", Style.PLAIN, id="no-status"),
        pytest.param(call(error="_OTHER", status=None), "failed", Style.RED, id="an-error-without-a-name"),
        pytest.param(call(error="404", status=404), "404", Style.RED, id="the-status-is-the-error"),
        pytest.param(
            Call(span=span(10, 20, role=SpanRole.ORPHAN), attempts=()), "200, call not seen", Style.YELLOW, id="orphan"
        ),
        pytest.param(
            Call(span=span(10, 20, role=SpanRole.COMMAND, status=None, process__exit__code=0), attempts=()),
            "exit 0",
            Style.PLAIN,
            id="command",
        ),
        pytest.param(
            Call(span=span(10, 20, role=SpanRole.PROCESS, status=None), attempts=()), "", Style.PLAIN, id="process"
        ),
    ],
)
def test_results(one: Call, expected: str, style: Style) -> None:
    """The result of a call is a few words, and determines its style."""
    row = rows(one)[0]

    assert (row.result, row.style) == (expected, style)


def test_an_ambiguous_call_is_marked() -> None:
    """The mark follows the name and is never cut."""
    assert rows(call(csm__correlation="ambiguous"))[0].suffix == " ~"


def test_a_call_before_its_root() -> None:
    """An offset may be negative: clocks differ."""
    (row,) = rows_of(call(), 30 * MS, PLAIN)

    assert row.offset == "-20 ms"
