"""Counts of the lines that a report leaves out, in words."""

from __future__ import annotations

from itertools import count

import pytest
from flat import flat_span

from csm_otel.report.counts import Counts
from csm_otel.spans.data import AttributeValue, Resource, SpanData, SpanKind, SpanRole, TraceContext

_ids = count(1)


def _span(role: SpanRole, *, failed: bool = False, not_sent: bool = False) -> SpanData:
    attributes: dict[str, AttributeValue] = {"csm.outcome": "not_sent"} if not_sent else {}
    return flat_span(
        role=role,
        name="S3.GetObject",
        kind=SpanKind.CLIENT,
        context=TraceContext(trace_id=1, span_id=next(_ids)),
        parent=None,
        start_ns=1,
        end_ns=2,
        attributes=attributes,
        is_error=failed,
        resource=Resource(()),
    )


WELL, FAILED = _span(SpanRole.CALL), _span(SpanRole.CALL, failed=True)
NOT_SENT = _span(SpanRole.CALL, not_sent=True)
ORPHAN, FAILED_ORPHAN = _span(SpanRole.ORPHAN), _span(SpanRole.ORPHAN, failed=True)
ATTEMPT = _span(SpanRole.ATTEMPT)
PROCESS, FAILED_COMMAND = _span(SpanRole.PROCESS), _span(SpanRole.COMMAND, failed=True)


@pytest.mark.parametrize(
    ("spans", "text"),
    [
        pytest.param([], "", id="nothing"),
        pytest.param([WELL], "1 more call, which did not fail", id="one"),
        pytest.param([FAILED], "1 more call, which failed", id="one-that-failed"),
        pytest.param([NOT_SENT], "1 more call, with NO REQUEST SENT", id="one-not-sent"),
        pytest.param([WELL] * 1788, "1,788 more calls, none of them failed", id="several"),
        pytest.param([WELL, FAILED, FAILED], "3 more calls, 2 of them failed", id="several-some-failed"),
        pytest.param(
            [WELL, FAILED, NOT_SENT],
            "3 more calls, 1 of them failed, 1 with NO REQUEST SENT",
            id="several-some-not-sent",
        ),
        pytest.param([ORPHAN], "1 more attempt without its call, which did not fail", id="one-orphan"),
        pytest.param(
            [FAILED_ORPHAN, WELL, ATTEMPT, WELL],
            "2 more calls, none of them failed; 2 more attempts without their calls, 1 of them failed",
            id="attempts-are-no-calls",
        ),
        pytest.param(
            [PROCESS, FAILED_COMMAND, WELL],
            "1 more call, which did not fail; 2 more processes, 1 of them failed",
            id="processes-are-no-calls",
        ),
    ],
)
def test_text(spans: list[SpanData], text: str) -> None:
    """Each kind of line is counted by itself, with its own failures."""
    counts = Counts(spans)

    assert counts.text("more") == text
    assert bool(counts) == bool(spans)


def test_nouns() -> None:
    """Without failures the kinds are listed alone."""
    assert Counts([FAILED_ORPHAN, WELL, WELL, PROCESS]).nouns() == (
        "2 calls and 1 attempt without its call and 1 process"
    )
