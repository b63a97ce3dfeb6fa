"""The text of a back end on one line."""

from __future__ import annotations

import pytest

from csm_otel.delivery.outcome import one_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("", "", id="empty"),
        pytest.param("too old", "too old", id="plain"),
        pytest.param(" too\r\n\told ", "too old", id="white-space"),
        pytest.param("\x1b[31mred\x07", "[31mred", id="control-characters"),
        pytest.param("zu spät", "zu spät", id="printable"),
        pytest.param("x" * 200, "x" * 200, id="just-short"),
        pytest.param("x" * 201, "x" * 197 + "...", id="long"),
        pytest.param("\n" * 10_000 + "x", "", id="only-the-beginning-is-read"),
    ],
)
def test_one_line(text: str, line: str) -> None:
    """It has no control characters, and its length is bounded."""
    assert one_line(text) == line
