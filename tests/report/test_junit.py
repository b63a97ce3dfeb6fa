"""JUnit XML, as junitparser reads it. tests/interop/test_junit_schema.py checks it against Jenkins' schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import JUnitXml
from report.test_markdown import large
from report.test_page import run
from traced import command, traced

from csm_otel.report.junit import render_junit
from csm_otel.report.terminal import printable
from csm_otel.summary.builder import SummaryBuilder
from csm_otel.verdict.judge import Broken
from csm_otel.verdict.judgement import Differences, Judgement

if TYPE_CHECKING:
    from junitparser import TestCase, TestSuite

    from csm_otel.spans.data import SpanData

BROKEN = Broken(rule="error", calls=2, values={}, examples=["S3.GetObject AccessDenied", "S3.HeadObject 404"])
JUDGEMENT = Judgement(rules=["error", "throttles>5"], broken=[BROKEN])


def suites_of(*spans: SpanData, judgement: Judgement | None = None, trace_url: str = "") -> dict[str, TestSuite]:
    """Return the suites of spans by name, after a check of the sums."""
    builder = SummaryBuilder()
    builder.add(spans)
    document = JUnitXml.fromstring(render_junit(builder.build(), judgement, trace_url=trace_url))
    suites = {suite.name: suite for suite in document}
    for suite in suites.values():
        kinds = [shown(case)[2] for case in suite]
        counted = [len(kinds), *(kinds.count(kind) for kind in ("Failure", "Error", "Skipped"))]
        assert [suite.tests, suite.failures, suite.errors, suite.skipped] == counted
    assert document.tests == sum(suite.tests for suite in suites.values())
    assert document.failures == sum(suite.failures for suite in suites.values())
    assert document.errors == sum(suite.errors for suite in suites.values())
    return suites


def shown(case: TestCase) -> tuple[str, str, str, float]:
    """Return the names, result and time of a case."""
    return case.classname, case.name, "".join(type(result).__name__ for result in case.result), case.time


def test_operations() -> None:
    """An operation that failed is a case: failed if that mattered, else skipped. Its time is that of all its calls."""
    suites = suites_of(*run(), trace_url="http://a/b?c=1&d=2")
    cases = list(suites["operations"])
    assert list(suites) == ["operations"]
    assert [shown(case) for case in cases] == [
        ("legacy_py.operations", "S3.GetObject", "Failure", 0.1),
        ("legacy_py.operations", "S3.HeadObject", "Skipped", 0.01),
    ]
    [failure], [skipped] = cases[0].result, cases[1].result
    assert (failure.type, failure.message) == ("AccessDenied", "1 failure: 403 AccessDenied")
    line, trace = failure.text.splitlines()
    assert line.startswith("403 AccessDenied: +500 ms, the last call before the command failed. not authorized. The ")
    assert trace == "Trace: http://a/b?c=1&d=2"
    assert skipped.text.startswith("404: +460 ms, a question answered with no\n")


def test_several_errors() -> None:
    """The errors of an operation are one case, the most serious first."""
    spans = [traced("S3.GetObject", at, at + 5, error=error) for at, error in ((0, "A"), (10, "B"), (20, "A"))]
    [case] = suites_of(*spans, command(code=1))["operations"]
    [failure] = case.result
    assert (failure.message, failure.type, len(failure.text.splitlines())) == ("3 failures: A", "A", 2)


def test_rules() -> None:
    """A rule is a case; one that is broken has failed, with its calls."""
    cases = list(suites_of(command(), judgement=JUDGEMENT)["rules"])
    assert [shown(case) for case in cases] == [
        ("legacy_py.rules", "error", "Failure", 0),
        ("legacy_py.rules", "throttles>5", "", 0),
    ]
    [failure] = cases[0].result
    assert failure.message == "2 calls: S3.GetObject AccessDenied, S3.HeadObject 404"
    assert failure.text.splitlines() == BROKEN.examples


def test_a_measure() -> None:
    """A rule with a measure has the figure: that it was exceeded is not the first calls' doing."""
    broken = Broken(rule="retries>2", calls=9, values={"retries": 4}, examples=["S3.GetObject"])
    [case] = suites_of(command(), judgement=Judgement(rules=["retries>2"], broken=[broken]))["rules"]
    assert (case.result[0].message, case.result[0].text) == ("retries is 4", "retries is 4")


@pytest.mark.parametrize(
    ("judgement", "result"),
    [
        pytest.param(Judgement(rules=[], broken=[], baseline=Differences(new=[], gone=[])), "", id="compared"),
        pytest.param(Judgement(rules=[], broken=[], baseline_failure="is a directory"), "Error", id="unusable"),
    ],
)
def test_baseline(judgement: Judgement, result: str) -> None:
    """It is a case, too."""
    [case] = suites_of(command(), judgement=judgement)["rules"]
    assert shown(case) == ("legacy_py.rules", "baseline", result, 0)


def test_nothing() -> None:
    """A run that went well has an empty suite; without a name it is of AWS."""
    assert list(suites_of(command())["operations"]) == []
    [case] = suites_of(traced("S3.GetObject", 0, 5, error="E"))["operations"]
    assert case.classname == "aws.operations"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("]]></failure><testcase/>", None, id="markup"),
        pytest.param("<!-- & &lt; \"'", None, id="entities"),
        pytest.param("a\0b\x08c\x0bd\x1be\ufffef\ud800g", "abc defg", id="forbidden"),
        pytest.param("a\u202eb", "ab", id="direction"),
        pytest.param("🙂", None, id="astral"),
    ],
)
def test_hostile_texts(text: str, expected: str | None) -> None:
    """Whatever is sent is text; what XML cannot have is removed."""
    broken = Broken(rule=text, calls=1, values={}, examples=[text])
    judgement = Judgement(rules=[text], broken=[broken], baseline_failure=text)
    call = traced(f"S3.{text}", 0, 5, error=text, message=text)
    suites = suites_of(call, command(code=1, name=text), judgement=judgement)
    text = printable(text) if expected is None else expected
    [case], [rule, baseline] = suites["operations"], suites["rules"]
    assert (case.name, rule.name, baseline.result[0].text) == (f"S3.{text}", text, text)
    assert case.result[0].message == f"1 failure: {text}"


@given(st.text(max_size=40))
def test_any_text(text: str) -> None:
    """Any text can be read again."""
    [case] = suites_of(traced(f"S3.{text}", 0, 5, error="E", message=text), command(code=1))["operations"]
    assert case.name.startswith("S3.") or "." in case.name


def test_many() -> None:
    """There is no more than a case for each operation, and its texts are cut."""
    document = JUnitXml.fromstring(render_junit(large(20_000, message="x" * 10_000)))
    assert document.tests == 20_000
    assert max(len(case.result[0].text) for suite in document for case in suite) < 1_300
