"""What is told when something raises that nobody foresaw: which error and where, never its text.

The text of an error may quote what was being decoded, and Python's own traceback prints it.
Standard library only.
"""

from __future__ import annotations

import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from csm_otel.process.speaker import Speaker

if TYPE_CHECKING:
    from types import TracebackType

_FRAMES = 8  # the innermost, which tell where; those around them are always the same


def hide_texts() -> None:
    """Let no error of this process print its text, whichever thread it ends."""
    sys.excepthook = lambda kind, _error, where: tell(kind, where)
    threading.excepthook = lambda raised: tell(raised.exc_type, raised.exc_traceback)
    sys.unraisablehook = lambda raised: tell(raised.exc_type, raised.exc_traceback)


def tell(kind: type[BaseException], where: TracebackType | None) -> None:
    """Say which error it was, and where it came from, on stderr."""
    if issubclass(kind, SystemExit):
        return
    frames = [f"{Path(frame.f_code.co_filename).name}:{line}" for frame, line in traceback.walk_tb(where)]
    at = f" at {' < '.join(reversed(frames[-_FRAMES:]))}" if frames else ""
    Speaker().say(f"internal error: {kind.__name__}{at}")
