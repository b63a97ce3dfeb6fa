"""The stream of ``--output``: `open_output`."""

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
        # for its owner only, as it holds error messages and account ids
        # non-blocking: opening a pipe that nobody reads would hang
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o600)
        os.set_blocking(descriptor, True)
        return os.fdopen(descriptor, "w", encoding="utf-8", errors="replace")
    except OSError as error:
        say(f"--output: {path}: {reason_of(error, 'cannot be written')}")
        return None


def _open_stdout(say: Callable[[str], None]) -> TextIO | None:
    """Return a stream to stdout that can be closed, with what it could not write, without an effect on the other."""
    if sys.stdout is None:
        say("--output: stdout is closed")
        return None
    return os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding=sys.stdout.encoding, errors="replace")
