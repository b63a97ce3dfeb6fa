"""The lines of finished calls, and their rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traced import T0, attempt_of, command, traced

from csm_otel.report.live import LiveLines
from csm_otel.report.rows import offset_of
from csm_otel.report.terminal import Terminal, columns_of
from csm_otel.spans.data import SpanData, SpanRole


def lines(width: int = 100) -> LiveLines:
    """Return what makes lines that begin with an offset."""
    return LiveLines(Terminal(width), stamp=lambda span: offset_of(span.start_ns, T0))


def call(*, error: str = "") -> list[SpanData]:
    """Return the spans of a call."""
    return [traced("S3.GetObject", 5, 9, status=403 if error else 200, error=error)]


RETRIED = traced("S3.PutObject", 0, 30, status=200, attributes={"csm.attempt_count": 2})


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        pytest.param(call(), "  +5 ms  S3.GetObject  4 ms  200\n", id="well"),
        pytest.param(
            [traced("S3.GetObject", 5, 9, status=403, error="AccessDenied", message="no\n\x1b[31mway")],
            "✗ +5 ms  S3.GetObject  4 ms  403 AccessDenied: no [31mway\n",
            id="failed",
        ),
        pytest.param(
            [RETRIED, attempt_of(RETRIED, 0, 5), attempt_of(RETRIED, 20, 30)],
            "  +0 ms  S3.PutObject  30 ms  200, 2 attempts\n",
            id="retried",
        ),
        pytest.param(
            [traced("S3.GetObject attempt", 5, 9, role=SpanRole.ORPHAN, status=200)],
            "  +5 ms  S3.GetObject attempt  4 ms  200, call not seen\n",
            id="orphan",
        ),
        pytest.param([command()], "", id="command"),
    ],
)
def test_line(spans: list[SpanData], expected: str) -> None:
    """A call is a line: when, what, how long, with what result; a command is none."""
    assert lines().add(spans, now=0) == expected


def test_rate() -> None:
    """Within a second 20 calls have lines, and 20 more that failed; the next second begins with the count of others."""
    live = lines()
    shown = [bool(live.add(call(), now=5 + number / 100)) for number in range(30)]
    failed = [bool(live.add(call(error="E"), now=5.5)) for _ in range(30)]
    later = live.add(call(), now=6.0)

    assert (sum(shown), sum(failed)) == (20, 20)
    assert later == "... and 20 more calls, 10 of them failed\n  +5 ms  S3.GetObject  4 ms  200\n"
    assert not live.flush()


def test_end() -> None:
    """Those without a line are counted at the end."""
    live = lines()
    for _ in range(21):
        live.add(call(), now=1)

    assert live.flush() == "... and 1 more call, which did not fail\n"


@given(width=st.integers(1, 60), text=st.text(max_size=30))
def test_any_width_and_text(width: int, text: str) -> None:
    """No line is wider than the terminal, and no text of a sender is interpreted by it."""
    shown = lines(width).add([traced(text, 0, 1, error=text, message=text)], now=0)

    assert columns_of(shown.removesuffix("\n")) <= width
    assert all(letter.isprintable() for letter in shown.removesuffix("\n"))
