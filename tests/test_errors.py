"""What errors and values look like in a line for the operator."""

from __future__ import annotations

import pytest

from csm_otel.errors import quoted, reason_of


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


@pytest.mark.parametrize(
    ("error", "otherwise", "expected"),
    [
        pytest.param(OSError(28, "No space left"), "cannot be written", "no space left", id="os"),
        pytest.param(OSError(), "Cannot be written", "cannot be written", id="otherwise"),
        pytest.param(OSError("AF_UNIX path too long"), "", "af_unix path too long", id="text"),
        pytest.param(ValueError("I/O on closed file"), "it is closed", "it is closed", id="not-of-the-system"),
        pytest.param(TimeoutError(), "", "timeouterror", id="type"),
    ],
)
def test_reason_of(error: Exception, otherwise: str, expected: str) -> None:
    """The system's words come first, then the caller's, then the error's own."""
    assert reason_of(error, otherwise) == expected
