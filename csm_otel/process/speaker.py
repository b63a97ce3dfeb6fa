"""Lines for the operator: one at a time, to stderr (or a file), each kind of warning at a bounded rate.

Standard library only: `exec` may write lines before anything else is loaded.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

from csm_otel.errors import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable

_PREFIX = "csm-otel: "
_REPEAT_SECONDS = 60.0
_MAX_KINDS = 100  # remembered
_MAX_HELD = 100  # lines kept while a command has the terminal


def silence_libraries() -> None:
    """Keep libraries from writing to stderr: our own lines report their failures, and some of theirs quote requests."""
    import logging  # ruff: ignore[import-outside-top-level] - exec does not need it before its command runs
    import warnings  # ruff: ignore[import-outside-top-level]

    logging.getLogger().addHandler(logging.NullHandler())
    warnings.simplefilter("ignore")


class RateLimit:
    """Allows each kind of line once a minute; remembers a bounded number of kinds."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def allows(self, kind: str, *, now: float) -> bool:
        """Return whether a line of this kind may be written at ``now``, monotonic seconds; it counts as written."""
        last = self._last.get(kind)
        if last is not None and now - last < _REPEAT_SECONDS:
            return False
        if len(self._last) >= _MAX_KINDS:
            self._last.clear()
        self._last[kind] = now
        return True


class Speaker:
    """Writes lines for the operator; never raises, as stderr may be closed."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        held: bool = False,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write to ``stream`` (stderr by default); when ``held``, not before `release`; when ``quiet``, never.

        ``clock`` returns monotonic seconds.
        """
        self._stream = stream
        self._held: list[str] | None = [] if held else None
        self._quiet = quiet
        self._clock = clock
        self._rate_limit = RateLimit()
        self.failure = ""
        """Why the last failed write failed; empty if none has."""

    def say(self, line: str) -> None:
        """Write a line, prefixed with the program's name."""
        self.write(f"{_PREFIX}{line}\n")

    def warn(self, line: str, *, kind: str | None = None) -> None:
        """Write a line, but each ``kind`` (by default the line itself) once a minute at most."""
        if self._rate_limit.allows(kind or line, now=self._clock()):
            self.say(line)

    def write(self, text: str) -> None:
        """Write text unchanged."""
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
        """Write the held lines, and hold none from now on; ``stream`` replaces the one given before."""
        held, self._held = self._held or [], None
        self._stream = stream or self._stream
        for text in held:
            self.write(text)
