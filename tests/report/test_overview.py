"""The overview: exact text of a run, and properties for any width and text."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traced import attempt_of, command, traced

from csm_otel.report.overview import ORDERS, render_overview
from csm_otel.report.terminal import columns_of
from csm_otel.spans.data import SpanData, SpanRole
from csm_otel.summary.builder import SummaryBuilder

if TYPE_CHECKING:
    from csm_otel.summary.model import Summary

DENIED = "User: etl is not authorized to perform: s3:GetObject"


def summary(*spans: SpanData) -> Summary:
    """Return the summary of spans."""
    builder = SummaryBuilder()
    builder.add(spans)
    return builder.build()


def run() -> Summary:
    """Return a run of two operations, a question, and a failure that ended it."""
    places = {"csm.sdk": "Boto3/1.9", "cloud.region": "eu-west-1", "cloud.account.id": "123456789012"}
    put = traced("DynamoDB.PutItem", 100, 400, status=200, attributes={**places, "csm.attempt_count": 2})
    return summary(
        put,
        attempt_of(put, 100, 200, status=400, error="ThrottlingException"),
        attempt_of(put, 300, 400, attributes={"server.address": "localhost", "server.port": 8000}),
        traced("S3.HeadObject", 410, 420, status=404, error="404", message="Not Found"),
        traced("S3.GetObject", 500, 600, status=403, error="AccessDenied", message=DENIED),
        traced("S3.GetObject", 700, 750, status=403, error="AccessDenied", message=DENIED),
        command(code=1),
    )


def test_a_run() -> None:
    """Counts, time, places, failures, the fatal one first, and operations by total time."""
    assert render_overview(run(), width=100, color=False) == dedent(
        """\
        4 calls to DynamoDB, S3: 3 read, 1 change something; 3 failed, 1 retried, 1 throttled
        460 ms of 1.00 s in AWS calls, 100 ms before the first, 100 ms in back-off
        Boto3/1.9; eu-west-1; account 123456789012; not AWS's own endpoint: localhost:8000

        ✗ S3.GetObject  403 AccessDenied  2 times from +500 ms to +700 ms, the last call before the command…
          User: etl is not authorized to perform: s3:GetObject
          The credentials were accepted, but their policies do not allow this action.
        ✗ S3.HeadObject  404  +410 ms, a question answered with no
          Not Found

                            calls  failed  retried     p50     p95     max   total
        DynamoDB.PutItem *      1                1  300 ms  300 ms  300 ms  300 ms
        S3.GetObject            2       2            50 ms  100 ms  100 ms  150 ms
        S3.HeadObject           1       1            10 ms   10 ms   10 ms   10 ms
        * changes something, by its name
        """
    )


def test_nothing() -> None:
    """Without calls there is nothing to show."""
    assert not render_overview(summary(command()), width=80, color=False)


def test_only_an_attempt() -> None:
    """An attempt without its call is not nothing."""
    orphan = traced("S3.GetObject attempt", 0, 5, role=SpanRole.ORPHAN, error="E")
    text = render_overview(summary(orphan), width=80, color=False)
    assert text.startswith("no AWS calls seen, but 1 attempt\n")
    assert "S3.GetObject" in text


@pytest.mark.parametrize(
    ("sort", "first"),
    [("total", "DynamoDB"), ("calls", "S3.GetObject"), ("failed", "S3.GetObject"), ("name", "D")],
)
def test_sort(sort: str, first: str) -> None:
    """The table is sorted as asked."""
    table = render_overview(run(), width=100, color=False, sort=sort).split("total\n")[1]
    assert table.startswith(first)


def test_many() -> None:
    """What does not fit a screen is counted."""
    spans = [
        traced(f"S3.Get{number}", number, number + 1, status=500, error=f"E{number}", message="m")
        for number in range(40)
    ]
    text = render_overview(summary(*spans), width=80, color=False)
    assert "... and 28 more failures\n" in text
    assert "... and 25 more operations with 25 calls\n" in text


def test_advice_once() -> None:
    """The same sentence is not repeated for each group."""
    spans = [traced(f"S3.Get{number}", number, number + 1, error="AccessDenied") for number in range(3)]
    assert render_overview(summary(*spans), width=100, color=False).count("policies") == 1


_TEXT = st.text(max_size=40)


@given(
    st.lists(st.tuples(_TEXT, _TEXT, _TEXT, st.integers(0, 10**8)), max_size=5),
    st.integers(1, 140),
    st.booleans(),
    st.sampled_from(sorted(ORDERS)),
)
def test_any_run(calls: list[tuple[str, str, str, int]], width: int, ascii_only: bool, sort: str) -> None:  # ruff: ignore[boolean-type-hint-positional-argument]
    """No line is too wide, and no text of a sender is interpreted."""
    spans = [traced(f"{name}.Api", 0, length, error=error, message=text) for name, error, text, length in calls]
    text = render_overview(summary(*spans), width=width, color=False, ascii_only=ascii_only, sort=sort)
    assert all(columns_of(line) <= width for line in text.split("\n"))
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert not ascii_only or text.isascii()


def test_before_the_start() -> None:
    """A call that seems to begin before its command, as clocks differ, has a negative offset."""
    text = render_overview(summary(traced("S3.GetObject", -5, 5, error="E"), command()), width=80, color=False)
    assert "  -5 ms, tolerated" in text
