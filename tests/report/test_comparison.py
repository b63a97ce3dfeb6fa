"""The text of a comparison, and properties for any width and text."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from traced import command, traced

from csm_otel.report.comparison import render_comparison
from csm_otel.report.terminal import columns_of
from csm_otel.summary.builder import SummaryBuilder
from csm_otel.summary.comparison import compare

if TYPE_CHECKING:
    from csm_otel.spans.data import SpanData
    from csm_otel.summary.model import Summary


def summary(*spans: SpanData, code: int = 0, max_operations: int = 100) -> Summary:
    """Return the summary of a command with these calls."""
    builder = SummaryBuilder(max_operations=max_operations)
    builder.add([*spans, command(code=code)])
    return builder.build()


def test_everything() -> None:
    """Sums, then what fails, came, went, is slower or faster, and other numbers of calls."""
    before = summary(
        traced("S3.GetObject", 0, 100, attributes={"cloud.region": "eu-west-1"}),
        *(traced("S3.PutObject", 0, 20) for _ in range(10)),
        *(traced("S3.ListBuckets", 0, 40) for _ in range(10)),
        traced("SQS.SendMessage", 0, 5, error="QueueDoesNotExist"),
        traced("EC2.RunInstances", 0, 5),
    )
    after = summary(
        traced("S3.GetObject", 0, 100, attributes={"cloud.region": "us-east-1"}),
        traced("S3.GetObject", 0, 100, status=403, error="AccessDenied"),
        *(traced("S3.PutObject", 0, 40) for _ in range(10)),
        *(traced("S3.ListBuckets", 0, 20) for _ in range(10)),
        traced("SQS.SendMessage", 0, 5),
        traced("DynamoDB.PutItem", 0, 5),
    )

    assert render_comparison(compare(before, after), width=100, color=False) == dedent(
        """\
        before: exit 0; 23 calls, 1 failed; 100 ms of 1.00 s in AWS calls
        now: exit 0; 24 calls, 1 failed; 100 ms of 1.00 s in AWS calls
        now fails: S3.GetObject  403 AccessDenied, 1 time, tolerated
        no longer fails: SQS.SendMessage  QueueDoesNotExist, 1 time, tolerated
        new: DynamoDB.PutItem  1 call, changes something, by its name
        gone: EC2.RunInstances  1 call, changes something, by its name
        slower: S3.PutObject  p50 20 ms, now 40 ms; p95 20 ms, now 40 ms
        faster: S3.ListBuckets  p50 40 ms, now 20 ms; p95 40 ms, now 20 ms
        calls: S3.GetObject  1, now 2
        new: us-east-1  region
        gone: eu-west-1  region
        """
    )


def test_no_difference() -> None:
    """Equal runs have a line that says so."""
    run = summary(traced("S3.GetObject", 0, 5))

    assert render_comparison(compare(run, run), width=100, color=False).splitlines()[2:] == [
        "the same operations, errors and places, and about as fast"
    ]


def test_still_failing() -> None:
    """An error of both runs has both counts, and what it means now."""
    error = traced("S3.GetObject", 20, 25, status=403, error="AccessDenied")
    before = summary(error, traced("S3.PutObject", 30, 40), code=1)
    after = summary(traced("S3.PutObject", 0, 10), error, error, code=1)

    assert render_comparison(compare(before, after), width=120, color=False).splitlines()[2:] == [
        "still fails: S3.GetObject  403 AccessDenied, 1 time, now 2, the last call before the command failed",
        "calls: S3.GetObject  1, now 2",
    ]


def test_narrow() -> None:
    """On 20 columns figures are below the names, and nothing is cut."""
    after = summary(traced("S3.GetObject", 0, 5, status=403, error="AccessDenied"), code=1)

    assert "\n".join(render_comparison(compare(summary(), after), width=20, color=False).splitlines()[-8:]) == dedent(
        """\
        now fails:
        S3.GetObject
          403 AccessDenied,
          1 time, the last
          call before the
          command failed
        new: S3.GetObject
          1 call, reads"""
    )


def test_long_names() -> None:
    """A name of a sender takes a few lines at most."""
    after = summary(traced("S3." + "Op" * 4_000, 0, 5))

    assert len(render_comparison(compare(summary(), after), width=40, color=False).splitlines()) < 15


def test_bounds() -> None:
    """What is beyond the bounds of a summary is not said to be gone."""
    spans = traced("S3.GetObject", 0, 5), traced("S3.PutObject", 0, 5)
    found = compare(summary(*spans), summary(*spans, max_operations=1))

    assert render_comparison(found, width=200, color=False).splitlines()[2:] == [
        "gone: S3.PutObject  1 call, changes something, by its name",
        "a run has more operations or errors than are distinguished: some that are new or gone may be in both",
    ]


def test_many() -> None:
    """Of a kind some are shown, and the others counted."""
    many = summary(*(traced(f"S3.Op{number:02}", 0, 5) for number in range(20)))
    lines = render_comparison(compare(summary(), many), width=100, color=False).splitlines()

    assert (lines[2].split()[:2], lines[-1], len(lines)) == (["new:", "S3.Op00"], "new: 5 more", 18)


@given(width=st.integers(1, 80), text=st.text(max_size=40), color=st.booleans())
def test_any_width_and_text(width: int, text: str, *, color: bool) -> None:
    """No line is wider than the terminal, and no text of a sender is interpreted by it."""
    after = summary(traced(f"S3.{text}", 0, 5, error=text))
    shown = render_comparison(compare(summary(), after), width=width, color=False)

    assert all(columns_of(line) <= width for line in shown.splitlines())
    assert all(letter.isprintable() for line in shown.split("\n") for letter in line)
    assert bool(render_comparison(compare(summary(), after), width=width, color=color)) is True
