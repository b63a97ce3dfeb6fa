"""What is printed of an unexpected exception: its type and where it was raised, never its text.

The text of an exception may quote what was being decoded, and Python's own traceback prints it.
Standard library only.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from csm_otel.process.speaker import Speaker

if TYPE_CHECKING:
    from types import TracebackType

_FRAMES = 8  # the innermost; those around them are always the same


def hide_texts() -> None:
    """Let no exception of this process print its text, whichever thread it ends."""
    sys.excepthook = lambda kind, _error, where: _report(kind, where)
    threading.excepthook = lambda raised: _report(raised.exc_type, raised.exc_traceback)
    sys.unraisablehook = lambda raised: _report(raised.exc_type, raised.exc_traceback)


def _report(kind: type[BaseException], where: TracebackType | None) -> None:
    if issubclass(kind, SystemExit):
        return
    frames = []
    while where is not None:  # not by traceback: its imports would delay the command of exec
        frames.append(f"{Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno}")
        where = where.tb_next
    at = f" at {' < '.join(reversed(frames[-_FRAMES:]))}" if frames else ""
    Speaker().say(f"internal error: {kind.__name__}{at}")
