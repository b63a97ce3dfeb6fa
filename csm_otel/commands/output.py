"""The stream of ``--output``, and files that are written at the end: `open_output`, `open_file`, `replace_file`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

from csm_otel.errors import reason_of
from csm_otel.files.line_file import STDOUT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def open_output(path: Path, *, say: Callable[[str], None]) -> TextIO | None:
    """Return a stream that replaces a file, or goes to stdout (``-``), or None where it cannot be opened.

    ``say`` is called with a line for the operator then.
    """
    if path == STDOUT:
        return _open_stdout(say)
    try:
        return os.fdopen(open_file(path, os.O_TRUNC), "w", encoding="utf-8", errors="replace")
    except OSError as error:
        say(f"--output: {path}: {reason_of(error, 'cannot be written')}")
        return None


def open_file(path: Path | str, flag: int) -> int:
    """Return the descriptor of a file that is created if missing; ``flag`` is O_TRUNC or O_APPEND.

    Raises:
        OSError: it cannot be opened.
    """
    # for its owner only, as it holds error messages and account ids
    # non-blocking: opening a pipe that nobody reads would hang
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | flag, 0o600)
    os.set_blocking(descriptor, True)
    return descriptor


def replace_file(path: Path, content: bytes, flag: str, say: Callable[[str], None]) -> bool:
    """Replace a file, and return whether that could be done; ``say`` is called with a line if not."""
    try:
        with os.fdopen(open_file(path, os.O_TRUNC), "wb") as file:
            file.write(content)
    except OSError as error:
        say(f"{flag}: {path}: {reason_of(error, 'cannot be written')}")
        return False
    return True


def _open_stdout(say: Callable[[str], None]) -> TextIO | None:
    """Return a stream to stdout that can be closed, with what it could not write, without an effect on the other."""
    if sys.stdout is None:
        say("--output: stdout is closed")
        return None
    return os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding=sys.stdout.encoding, errors="replace")
