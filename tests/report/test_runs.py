"""Calls collapsed to lines: tables of what stands, and laws for any calls."""

from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traced import MS, T0, called, traced

from csm_otel.report.rows import Row
from csm_otel.report.runs import Line, lines_of, row_of_run
from csm_otel.report.terminal import Style, Terminal
from csm_otel.spans.data import SpanRole
from csm_otel.summary.trace import Call, went_well

ROWS_OF_FAILED = 3
NAMES = {"g": "S3.GetObject", "p": "S3.PutObject", "q": "SQS.SendMessage"}


def calls_of(text: str) -> list[Call]:
    """Return calls of 1 ms by their letters, in upper case those that failed; after an asterisk one of 5 ms."""
    calls = []
    for number, (before, letter) in enumerate(zip(" " + text, text, strict=False)):
        if letter != "*":
            error = "AccessDenied" if letter.isupper() else ""
            end = number + (5 if before == "*" else 1)
            calls.append(called(NAMES[letter.lower()], number, end, error=error))
    return calls


def height(call: Call) -> int:
    """Return the lines of a call as the waterfall would: a failed one has its message and an attempt below it."""
    return 1 if went_well(call.span) else ROWS_OF_FAILED


def sketch(lines: list[Line]) -> str:
    """Return the lines as letters, those that are collapsed in brackets, an exclamation mark after a whole failure."""
    letters = {name: letter for letter, name in NAMES.items()}
    parts = []
    for calls, is_whole in lines:
        text = "".join(
            letters[call.span.name].upper() if call.span.is_error else letters[call.span.name] for call in calls
        )
        text = "".join(f"{len(list(group))}{letter}" for letter, group in groupby(text)) if len(text) > 1 else text
        parts.append(f"({text})" if len(calls) > 1 else text + "!" * (is_whole and text.isupper()))
    return " ".join(parts)


@pytest.mark.parametrize(
    ("calls", "max_lines", "expected"),
    [
        pytest.param("", 4, "", id="none"),
        pytest.param("gpg", 3, "g p g", id="fits"),
        pytest.param("gpG", 5, "g p G!", id="fits-with-rows-below"),
        pytest.param("g" * 50, 5, "(50g)", id="one-run"),
        pytest.param("p" + "g" * 50 + "q", 5, "p (50g) q", id="runs"),
        pytest.param("gp" * 15, 5, "(" + "1g1p" * 15 + ")", id="mixed"),
        pytest.param("g" * 9 + "qp" * 15 + "p" * 9, 3, "(9g) (" + "1q1p" * 14 + "1q) (10p)", id="long-runs"),
        pytest.param("q" + "gp" * 15 + "g" * 9, 5, "q (" + "1g1p" * 15 + ") (9g)", id="the-only-one-of-its-kind"),
        pytest.param("gp" * 15 + "Q" + "gggq", 8, "(" + "1g1p" * 15 + ") Q! (3g) q", id="as-many-runs-as-fit"),
        pytest.param("g" * 9 + "*g" + "g" * 9, 5, "(9g) g (9g)", id="a-slow-one"),
        pytest.param("*g*g" + "g" * 9 + "*g*g", 9, "g g (9g) g g", id="three-slow-ones"),
        pytest.param("g" * 20 + "G", 5, "(20g) G!", id="the-last-failed"),
        pytest.param("g" * 20 + "G", 1, "(20g) G!", id="it-is-shown-whatever-the-bound"),
        pytest.param("G" * 9, 9, "G! (6G) G G!", id="the-first-and-the-last-of-many-failures"),
        pytest.param("gG" * 9, 15, "g G! g G (1g1G1g1G1g1G1g1G1g) G g G g G!", id="and-what-is-between"),
    ],
)
def test_lines(calls: str, max_lines: int, expected: str) -> None:
    """Failures and slow calls stand, the rest is collapsed as far as needed."""
    assert sketch(lines_of(calls_of(calls), max_lines, height)) == expected


@pytest.mark.parametrize(
    ("calls", "name", "length", "result"),
    [
        pytest.param("gg*g", "S3.GetObject x3", "8 ms", "p50 1 ms, max 5 ms", id="a-run"),
        pytest.param("gGG", "S3.GetObject x3", "3 ms", "2 failed, p50 1 ms, max 1 ms", id="some-failed"),
        pytest.param("pggG", "4 calls", "4 ms", "1 failed, 3 S3.GetObject, 1 S3.PutObject", id="several-operations"),
    ],
)
def test_rows(calls: str, name: str, length: str, result: str) -> None:
    """A run has its percentiles, several operations their counts; failures come first."""
    row = row_of_run(calls_of(calls), T0 - 20 * MS, Terminal(80))

    assert (row.offset, row.name + row.suffix, row.length, row.result) == ("+20 ms", name, length, result)
    assert row.style is Style.DIM


def test_a_row_is_drawn_over_all_its_calls() -> None:
    """The bar shows when there were calls, and the pauses between them."""
    row = row_of_run([called("S3.GetObject", 10, 30), called("S3.GetObject", 90, 100)], T0, Terminal(80))

    assert row == Row(
        offset="+10 ms",
        name="S3.GetObject",
        suffix=" x2",
        busy=((T0 + 10 * MS, T0 + 30 * MS), (T0 + 90 * MS, T0 + 100 * MS)),
        length="90 ms",
        result="p50 10 ms, max 20 ms",
        style=Style.DIM,
    )


def test_what_else_is_counted() -> None:
    """Calls that were not sent, retries, attempts without calls and rare operations are not silently among the rest."""
    not_sent = Call(span=traced("A.B", 0, 0, attributes={"csm.outcome": "not_sent"}), attempts=())
    retried = Call(span=traced("A.B", 1, 9, status=200, attributes={"csm.attempt_count": 3}), attempts=())
    orphan = Call(span=traced("A.\x1bC attempt", 2, 3, role=SpanRole.ORPHAN), attempts=())
    rare = [called(f"A.{letter}", 4, 5) for letter in "DEF"]
    row = row_of_run([not_sent, retried, orphan, *rare], T0, Terminal(80))

    assert row.name == "5 calls and 1 attempt without its call"
    assert row.result == "1 with NO REQUEST SENT, 1 retried, 2 A.B, 1 A.C attempt, 1 A.D, 2 other"


@given(calls=st.text("gpqGPQ*", max_size=80).map(calls_of), max_lines=st.integers(1, 40))
def test_every_call_is_on_one_line(calls: list[Call], max_lines: int) -> None:
    """In their order; all failures within the bound stand, and there are no more lines than fit."""
    lines = lines_of(calls, max_lines, height)

    assert [call for line in lines for call in line.calls] == calls
    assert all(len(line.calls) == 1 for line in lines if line.is_whole)
    bound = max(max_lines // 3, 1)
    failed = [call for call in calls if not went_well(call.span)]
    alone = [line.calls[0] for line in lines if len(line.calls) == 1]
    shown = [call for call in failed if call in alone]
    assert len(shown) >= min(bound, len(failed))
    rows = sum(height(line.calls[0]) if line.is_whole else 1 for line in lines)
    assert rows <= max(max_lines, 2 * bound + ROWS_OF_FAILED)
