"""The summary of a step on GitHub Actions, ``--step-summary``: `append_step_summary`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from csm_otel.commands.output import open_file
from csm_otel.errors import reason_of
from csm_otel.report.markdown import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_VARIABLE = "GITHUB_STEP_SUMMARY"
_BREAK = b"\n\n"  # what others have written may end within a line


def append_step_summary(
    environ: Mapping[str, str], render: Callable[[int], str | None], *, say: Callable[[str], None]
) -> bool:
    """Append to what the step has written to its summary so far, and return whether that could be done.

    ``render`` returns a text of at most so many bytes, or None. ``say`` is called with a line if it cannot be written.
    GitHub shows nothing of a summary that is longer than `MAX_BYTES` in all.
    """
    path = environ.get(_VARIABLE, "")
    if not path:
        say(f"--step-summary: {_VARIABLE} is not set")
        return False
    try:
        is_written = _append(path, render)
    except OSError as error:
        say(f"--step-summary: {path}: {reason_of(error, 'cannot be written')}")
        return False
    if not is_written:
        say(f"--step-summary: {path}: no room is left of the {MAX_BYTES:,} bytes that GitHub shows")
    return is_written


def _append(path: str, render: Callable[[int], str | None]) -> bool:
    """Append the text, and return whether there was room for it.

    Raises:
        OSError: the file cannot be written.
    """
    with os.fdopen(open_file(path, os.O_APPEND), "ab") as file:
        size = os.fstat(file.fileno()).st_size
        before = _BREAK if size else b""
        text = render(MAX_BYTES - size - len(before))
        if text is not None:
            file.write(before + text.encode())
    return text is not None
