"""The file of ``--junit`` is valid by the schema of Jenkins' xUnit plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from interop.install_junit_schema import faults_of, schema
from report.test_junit import JUDGEMENT
from report.test_page import run
from traced import command, traced

from csm_otel.report.junit import render_junit
from csm_otel.summary.builder import SummaryBuilder
from csm_otel.verdict.judgement import Judgement

if TYPE_CHECKING:
    from pathlib import Path

    from csm_otel.spans.data import SpanData

HOSTILE = "a\0b\x1b]]></testcase>\ud800\ufffe&<\"'"


def faults_in(document: bytes, folder: Path) -> list[str]:
    """Return what is not valid, or skip the test where there is no schema."""
    if reason := schema().why_not():
        pytest.skip(reason)
    (folder / "junit.xml").write_bytes(document)
    return faults_of(folder / "junit.xml")


@pytest.mark.parametrize(
    ("spans", "judgement"),
    [
        pytest.param(run(), JUDGEMENT, id="run"),
        pytest.param([command()], None, id="nothing"),
        pytest.param(
            [traced(f"S3.{HOSTILE}", 0, 5, error=HOSTILE, message=HOSTILE), command(code=1, name=HOSTILE)],
            Judgement(rules=[HOSTILE], broken=[], baseline_failure=HOSTILE),
            id="hostile",
        ),
    ],
)
def test_valid(spans: list[SpanData], judgement: Judgement | None, tmp_path: Path) -> None:
    """Whatever a run and its texts are, the document is valid."""
    builder = SummaryBuilder()
    builder.add(spans)
    assert faults_in(render_junit(builder.build(), judgement, trace_url="http://a/?b&c"), tmp_path) == []


def test_the_schema_is_strict(tmp_path: Path) -> None:
    """What other writers have and the schema has not is found: the check can fail."""
    document = render_junit(SummaryBuilder().build()).replace(b"<testsuite ", b'<testsuite assertions="1" ')
    assert faults_in(document, tmp_path) != []
