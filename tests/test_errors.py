"""How a value that cannot be used is named."""

from __future__ import annotations

import pytest

from csm_otel.errors import quoted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "''", id="empty"),
        pytest.param("soon", "'soon'", id="short"),
        pytest.param("x" * 40, f"'{'x' * 40}'", id="just-short"),
        pytest.param("x" * 41, f"'{'x' * 40}'...", id="long"),
        pytest.param("a\nb", r"'a\nb'", id="one-line"),
        pytest.param("api-key=hunter2", "a text with '='", id="header"),
        pytest.param("x" * 5_000 + "=hunter2", "a text with '='", id="long-header"),
    ],
)
def test_quoted(text: str, expected: str) -> None:
    """A text is shown on one line, cut where it is long, and not at all where it may be a header."""
    assert quoted(text) == expected
