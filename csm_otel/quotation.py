"""How a value that cannot be used is named in the line that says so: `quoted`. Standard library only."""

from __future__ import annotations

_LONGEST = 40  # characters; enough to be recognised, and a line stays one


def quoted(text: str) -> str:
    """Return a text in quotes, cut where it is long; one with ``=`` is not shown.

    It may be a header with its secret, put into the wrong variable.
    """
    if "=" in text:
        return "a text with '='"
    return repr(text) if len(text) <= _LONGEST else f"{text[:_LONGEST]!r}..."
