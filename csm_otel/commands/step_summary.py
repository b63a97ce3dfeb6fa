"""The summary of a step on GitHub Actions, ``--step-summary``: `append_step_summary`."""

from __future__ import annotations

import fcntl
import os
import time
from typing import TYPE_CHECKING

from csm_otel.commands.output import open_file
from csm_otel.errors import reason_of
from csm_otel.report.markdown import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_VARIABLE = "GITHUB_STEP_SUMMARY"
_LOCK_TRIES = 100  # another csm-otel needs some 10 ms; the command's result does not wait for long
_LOCK_PAUSE_SECONDS = 0.01
_BREAK = b"\n\n"  # what others have written may end within a line


def append_step_summary(
    environ: Mapping[str, str],
    render: Callable[[int], str | None],
    *,
    say: Callable[[str], None],
    pause: Callable[[float], None] = time.sleep,
) -> bool:
    """Append to what the step has written to its summary so far, and return whether that could be done.

    ``render`` returns a text of at most so many bytes, or None. ``say`` is called with a line if it cannot be written.
    GitHub shows nothing of a summary that is longer than `MAX_BYTES` in all. ``pause`` waits for so many seconds, where
    another csm-otel of the step is appending.
    """
    path = environ.get(_VARIABLE, "")
    if not path:
        say(f"--step-summary: {_VARIABLE} is not set")
        return False
    try:
        is_written = _append(path, render, pause)
    except OSError as error:
        say(f"--step-summary: {path}: {reason_of(error, 'cannot be written')}")
        return False
    if not is_written:
        say(f"--step-summary: {path}: no room is left of the {MAX_BYTES:,} bytes that GitHub shows")
    return is_written


def _append(path: str, render: Callable[[int], str | None], pause: Callable[[float], None]) -> bool:
    """Append the text, and return whether there was room for it.

    Raises:
        OSError: the file cannot be written.
    """
    with os.fdopen(open_file(path, os.O_APPEND), "ab") as file:
        _lock(file.fileno(), pause)
        size = os.fstat(file.fileno()).st_size
        before = _BREAK if size else b""
        text = render(MAX_BYTES - size - len(before))
        if text is not None:
            file.write(before + text.encode())
    return text is not None


def _lock(descriptor: int, pause: Callable[[float], None]) -> None:
    """Lock the file until it is closed, so that its size holds; not where another keeps it, or locks do not work."""
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pause(_LOCK_PAUSE_SECONDS)
        except OSError:
            return
        else:
            return
