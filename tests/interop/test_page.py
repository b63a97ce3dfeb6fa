"""The page of ``--report`` in Chromium: as a file and from servers, with hostile texts, and with 100,000 calls."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from interop.install_browser import check_page, why_no_browser
from traced import attempt_of, command, traced

from csm_otel.report.page import render_page
from csm_otel.summary.builder import SummaryBuilder
from csm_otel.summary.calls import Calls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from csm_otel.spans.data import SpanData

HOSTILE = (
    "</script><script>alert(1)</script>",
    "</style></table><img src=x onerror=alert(1)>",
    "<!--<script>",
    "\"' onload='alert(1)",
    "a\u202eb\u2066c\x1b[1md\0e\u2028f",
    "]]>&lt;b&gt;&#x3c;b&#x3e;",
    "W" * 5_000,
)


def calls_of(count: int) -> Iterator[list[SpanData]]:
    """Yield so many calls, a few at once, of which some were retried and some failed."""
    for number in range(count):
        name = ("S3.GetObject", "S3.PutObject", "DynamoDB.Query", "SQS.ReceiveMessage")[number * 7 % 11 % 4]
        start_ms, end_ms = number * 5, number * 5 + 4 + number * 13 % 40
        error = "SlowDown" if number % 97 == 50 else ""
        call = traced(
            name, start_ms, end_ms, status=503 if error else 200, error=error,
            message="Please reduce your request rate." if error else "",
            attributes={"cloud.region": "eu-central-1", "aws.request_id": f"{number:016X}"},
        )  # fmt: skip
        first = attempt_of(call, start_ms, start_ms + 1, status=503, error="SlowDown")
        yield [call, first, attempt_of(call, end_ms - 1, end_ms, error=error)] if number % 31 == 0 else [call]


def hostile_calls() -> Iterator[list[SpanData]]:
    """Yield calls with every text that a sender chooses."""
    for number, text in enumerate(HOSTILE):
        start_ms = number * 200
        call = traced(
            f"S3.{text}", start_ms, start_ms + 90, error=text, message=text,
            attributes={"csm.sdk": text, "cloud.region": text, "aws.request_id": text, "server.address": text},
        )  # fmt: skip
        yield [
            call,
            attempt_of(call, start_ms, start_ms + 20, error=text),
            attempt_of(call, start_ms + 60, start_ms + 90),
        ]


def page_of(calls: Iterator[list[SpanData]]) -> str:
    """Return the page of a command that made the calls."""
    builder, kept = SummaryBuilder(), Calls()
    for spans in calls:
        builder.add(spans)
        kept.add(spans)
    builder.add([command(600_000, code=1, name=HOSTILE[0])])
    return render_page(builder.build(), list(kept))


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param(calls_of(60), id="60"),
        pytest.param(hostile_calls(), id="hostile"),
        pytest.param(calls_of(5_000), id="5000"),
        pytest.param(calls_of(100_000), id="100000"),
    ],
)
def test_page(calls: Iterator[list[SpanData]], tmp_path: Path) -> None:
    """Every check of `page_checks` finds nothing."""
    if reason := why_no_browser():
        pytest.skip(reason)
    page = tmp_path / "page.html"
    page.write_text(page_of(calls), encoding="utf-8")
    done = check_page(page)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {check: [] for check in found} == found
