"""What the program has to say: one line at a time, to stderr (or a file), each kind at a bounded rate.

Standard library only: `exec` may have to speak before anything else is loaded.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import TextIO

from csm_otel.errors import reason_of

_QUIET_SECONDS = 60.0  # how long the same is not repeated
_MOST_REMEMBERED = 100


class Repeats:
    """Remembers, of a bounded number of kinds, when each was said last."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def is_news(self, kind: str, *, now: float) -> bool:
        """Return whether something of a kind is to be said at ``now``, monotonic seconds; it counts as said then."""
        last = self._last.get(kind)
        if last is not None and now - last < _QUIET_SECONDS:
            return False
        if len(self._last) >= _MOST_REMEMBERED:
            self._last.clear()
        self._last[kind] = now
        return True


_PREFIX = "csm-otel: "
_MAX_HELD = 100  # lines kept while a command has the terminal


def silence_libraries() -> None:
    """Keep libraries from writing to stderr: what they have to say the outcomes tell, and some quote what they send."""
    logging.getLogger().addHandler(logging.NullHandler())


class Speaker:
    """Writes lines for the operator; never raises, since nobody may be listening."""

    def __init__(self, stream: TextIO | None = None, *, held: bool = False, quiet: bool = False) -> None:
        """Write to ``stream`` (stderr by default); when ``held``, not before `release`; when ``quiet``, never."""
        self._stream = stream
        self._held: list[str] | None = [] if held else None
        self._quiet = quiet
        self._repeats = Repeats()
        self.failure = ""
        """Why the last write that failed did; empty while none has."""

    def say(self, line: str) -> None:
        """Say a line, prefixed with the program's name."""
        self.write(f"{_PREFIX}{line}\n")

    def warn(self, line: str, *, kind: str | None = None) -> None:
        """Say a line, but each ``kind`` (by default the line itself) once a minute at most."""
        if self._repeats.is_news(kind or line, now=time.monotonic()):
            self.say(line)

    def write(self, text: str) -> None:
        """Write text as it is."""
        if self._quiet:
            return
        if self._held is not None:
            if len(self._held) < _MAX_HELD:
                self._held.append(text)
            return
        stream = self._stream or sys.stderr
        if stream is None:  # this process was started with stderr closed
            return
        try:
            encoding = stream.encoding or "ascii"
            stream.write(text.encode(encoding, "replace").decode(encoding))
            stream.flush()
        except (OSError, ValueError) as error:
            self.failure = reason_of(error, "it is closed")

    def release(self, stream: TextIO | None = None) -> None:
        """Say what was held, and from now on hold nothing; ``stream`` replaces the one given before."""
        held, self._held = self._held or [], None
        self._stream = stream or self._stream
        for text in held:
            self.write(text)
