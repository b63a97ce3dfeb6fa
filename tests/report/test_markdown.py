"""The Markdown of a run, as GitHub's own renderer reads it: content, hostile texts, size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from report.rendered import Rendered
from report.test_page import run
from traced import command, traced

from csm_otel.report.markdown import MAX_BYTES, render_markdown
from csm_otel.summary.builder import SummaryBuilder
from csm_otel.summary.comparison import compare
from csm_otel.verdict.baseline import Entry
from csm_otel.verdict.judge import Broken
from csm_otel.verdict.judgement import Differences, Judgement

if TYPE_CHECKING:
    from csm_otel.spans.data import SpanData
    from csm_otel.summary.model import Summary

TAGS = {"h3", "h4", "p", "code", "table", "thead", "tbody", "tr", "th", "td"}
BROKEN = Broken(rule="access=write", calls=2, values={}, examples=["DynamoDB.PutItem", "S3.PutObject"])


def summary_of(*spans: SpanData) -> Summary:
    """Return the summary of spans."""
    builder = SummaryBuilder()
    builder.add(spans)
    return builder.build()


def rendered(*spans: SpanData, judgement: Judgement | None = None) -> Rendered:
    """Return the Markdown of spans as it is rendered."""
    text = render_markdown(summary_of(*spans), judgement)
    assert text is not None
    assert text.endswith("\n")
    return Rendered(text)


def test_a_run() -> None:
    """Title, sums, and tables in the order of what matters."""
    page = rendered(*run())

    counts = "22 read, 1 change something; 2 failed, 1 retried, 1 throttled."
    assert page.paragraphs == [f"{counts} 430 ms of 1.00 s in AWS calls, 100 ms before the first."]
    assert page.text.strip().splitlines()[0] == "legacy.py: 23 AWS calls, 2 failed, exit 1"
    assert list(page.tables) == ["What failed", "What to do", "Operations", "Worth a look", "What is uncertain"]
    assert page.tables["What failed"] == [
        ["Operation", "Result", "When", "Did it matter", "Message"],
        ["S3.GetObject", "403 AccessDenied", "+500 ms", "the last call before the command failed", "not authorized"],
        ["S3.HeadObject", "404", "+460 ms", "a question answered with no", ""],
    ]
    assert page.tables["What to do"][1:] == [
        ["AccessDenied", "The credentials were accepted, but their policies do not allow this action."]
    ]
    assert page.tables["Operations"][1] == [
        "DynamoDB.PutItem", "write", "1", "0", "1", "1", "300 ms", "300 ms", "300 ms", "300 ms",
    ]  # fmt: skip
    assert page.tables["Worth a look"][1:] == [["SQS.GetQueueUrl was called 20 times, one directly after the other"]]
    assert page.tables["What is uncertain"][1:] == [["Attempts that were not seen", "1"]]
    assert page.names == TAGS


def test_nothing() -> None:
    """A run without calls is a line that says so."""
    page = rendered(command())
    assert (page.text.strip(), page.names) == ("legacy.py: no AWS calls seen", {"h3", "code"})
    assert rendered().text.strip() == "AWS calls: no AWS calls seen"


def test_verdict() -> None:
    """Broken rules are first; what differs from the baseline has a table."""
    judgement = Judgement(
        rules=["error", "access=write"],
        broken=[BROKEN],
        baseline=Differences(new=[Entry("S3", "PutObject", "us-east-1", "")], gone=[Entry("S3", "GetObject", "", "E")]),
    )
    page = rendered(command(), judgement=judgement)
    assert list(page.tables) == ["Broken rules", "What differs from the baseline"]
    assert page.tables["Broken rules"][1:] == [["access=write", "2 calls: DynamoDB.PutItem, S3.PutObject"]]
    assert page.tables["What differs from the baseline"][1:] == [
        ["new", "S3.PutObject us-east-1"],
        ["gone", "S3.GetObject E"],
    ]


@pytest.mark.parametrize(
    ("judgement", "said"),
    [
        pytest.param(Judgement(rules=["error", "throttle"], broken=[]), "2 rules kept.", id="kept"),
        pytest.param(
            Judgement(rules=[], broken=[], baseline_failure="no baseline: <b>"),
            "The baseline cannot be used: no baseline: <b>",
            id="no-baseline",
        ),
    ],
)
def test_lines_of_a_verdict(judgement: Judgement, said: str) -> None:
    """What has no table is said in a line."""
    page = rendered(command(), judgement=judgement)
    assert (page.paragraphs, page.tables) == ([said], {})


def test_an_updated_baseline() -> None:
    """It is said that the difference is no more."""
    baseline = Differences(new=[Entry("S3", "PutObject", "", "")], gone=[], updated=True)
    page = rendered(command(), judgement=Judgement(rules=[], broken=[], baseline=baseline))
    assert list(page.tables) == ["What differs from the baseline, which was updated"]


def test_comparison() -> None:
    """What differs from another run is a table, after what the runs did."""
    before, after = summary_of(traced("S3.GetObject", 0, 100)), summary_of(traced("S3.GetObject", 0, 4_000))
    text = render_markdown(after, comparison=compare(before, after))
    assert text is not None
    page = Rendered(text)
    assert page.tables["What differs from the run before"][1:] == [
        ["slower", "S3.GetObject", "p50 100 ms, now 4.00 s; p95 100 ms, now 4.00 s"]
    ]
    assert page.paragraphs[1].startswith("before: 1 call, 0 failed; ")


def test_trace_url() -> None:
    """There is a link to the trace, and no other."""
    text = render_markdown(summary_of(*run()), trace_url="http://jaeger:16686/trace/4bf9?a=1&copy=2*_*")
    assert text is not None
    links = [given for tag, given in Rendered(text).tags if tag == "a"]
    assert links == [{"href": "http://jaeger:16686/trace/4bf9?a=1&copy=2*_*"}]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("<script>alert(1)</script></td>", id="html"),
        pytest.param("a|b`c", id="cell"),
        pytest.param("[x](http://e.example) ![x](http://e.example) http://e.example @octocat", id="links"),
        pytest.param("x\\", id="backslash"),
    ],
)
def test_hostile_texts(text: str) -> None:
    """Whatever is sent is text, wherever it is shown."""
    call = traced(
        f"S3.{text}", 0, 1, error=text, message=text,
        attributes={"csm.sdk": text, "cloud.region": text, "cloud.account.id": text, "server.address": text},
    )  # fmt: skip
    entry = Entry(text, text, text, text)
    judgement = Judgement(
        rules=[text],
        broken=[Broken(rule=text, calls=1, values={}, examples=[text])],
        baseline=Differences(new=[entry], gone=[entry]),
        baseline_failure=text,
    )
    page = rendered(*[call] * 6, command(name=text), judgement=judgement)
    assert page.tables["What failed"][1] == [f"S3.{text}", text, "6 times from +0 ms to +0 ms", "tolerated", text]
    assert page.tables["Operations"][1][:2] == [f"S3.{text}", "write"]
    assert page.tables["Broken rules"][1] == [text, f"1 call: {text}"]
    assert page.tables["What differs from the baseline"][1] == ["new", f"{text}.{text} {text} {text}"]
    assert page.tables["Worth a look"][1] == [f"S3.{text} failed 6 times in a row with {text}"]
    assert page.paragraphs[1:] == [
        f"{text}; {text}; account {text}; not AWS's own endpoint: {text}",
        f"The baseline cannot be used: {text}",
    ]
    assert page.text.strip().startswith(f"{text}: 6 AWS calls, 6 failed\n")
    assert page.names == TAGS


def large(number: int, message: str = "€" * 250) -> Summary:
    """Return a summary of so many operations, each of which failed."""
    summary = summary_of(*run())
    names = [f"Op{at:06}" + "|" * 20 for at in range(number)]
    use, group = summary.operations[0], summary.failures[0]
    return msgspec.structs.replace(
        summary,
        operations=[msgspec.structs.replace(use, api=name) for name in names],
        failures=[msgspec.structs.replace(group, api=name, message=message) for name in names],
    )


@pytest.mark.parametrize(("number", "room"), [(20_000, MAX_BYTES), (1_000, 100_000), (1_000, 10_000)])
def test_size(number: int, room: int) -> None:
    """It has never more bytes than there is room; it fills most of it, and counts the rows that are left out."""
    text = render_markdown(large(number), room_bytes=room)
    assert text is not None
    assert room * 0.8 < len(text.encode()) <= room
    left_out = [int(line.split()[0].replace(",", "")) for line in text.splitlines() if "left out" in line]
    assert text.count("| `DynamoDB.Op") + text.count("| `S3.Op") + sum(left_out) == 2 * number
    tables = Rendered(text).tables
    assert min(len(tables["What failed"]), len(tables["Operations"])) > 3


def test_all_that_a_run_can_have() -> None:
    """A summary with as many operations and failures as it may have, of usual texts, is whole."""
    text = render_markdown(large(1_000, message="not authorized to perform this"))
    assert text is not None
    assert "left out" not in text


def test_no_room() -> None:
    """Where there is no room for the heads of the tables, there is no text."""
    assert render_markdown(large(1), room_bytes=100) is None
