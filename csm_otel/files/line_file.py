"""A file that lines are appended to, of which each is there or is known not to be: `LineFile`.

The file may also be a named pipe or a device. Such a one is never waited for longer than ``PATIENCE_SECONDS``, so that
it is known whether its reader has stalled.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from csm_otel.errors import SettingsError, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

PATIENCE_SECONDS = 1.0
"""How long a line may wait for the reader of a pipe: one of many spans is longer than the 64 KiB a pipe can hold."""

_FILE_BATCH_BYTES = 64 * 1024
_MS = 1000.0


class LineFile:
    """Appends lines to a file, which is made for its owner only."""

    def __init__(self, descriptor: int, name: str, *, say: Callable[[str], None] | None = None) -> None:
        """Take over a descriptor; ``say`` takes a line for the operator when writing begins to fail."""
        self._descriptor = descriptor
        self._name = name
        self._say = say
        self._is_failing = False
        self._is_torn = False
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        # What a pipe has room for when it says so; whether it blocks is for all to say who have it open.
        self._piece_bytes = None if is_file else select.PIPE_BUF

    @classmethod
    def open(cls, path: Path, *, flag: str, say: Callable[[str], None] | None = None) -> LineFile:
        """Open ``path``, as the setting ``flag`` asks for.

        Raises:
            SettingsError: the file cannot be opened, or is a named pipe that nobody reads.
        """
        # Non-blocking: to open a pipe that nobody reads would take for ever.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            is_unread = error.errno == errno.ENXIO and path.is_fifo()
            why = "nobody reads this pipe" if is_unread else reason_of(error)
            raise SettingsError([f"{flag} {path}: {why}"]) from error
        return cls(descriptor, str(path), say=say)

    @property
    def is_failing(self) -> bool:
        """Whether the last line could not be written."""
        return self._is_failing

    @property
    def batch_bytes(self) -> int:
        """How many bytes of lines are best appended at once: what a pipe takes whole or not at all."""
        return self._piece_bytes or _FILE_BATCH_BYTES

    def append(self, lines: Sequence[bytes]) -> int:
        """Append lines, their ends included, and return how many are there: all, or those before one that failed.

        After a write that failed halfway (disk full, reader stalled) the next one starts a line of its own. A pipe's
        reader that has stalled costs ``PATIENCE_SECONDS`` once; until it reads again the writes fail at once.
        """
        mend = b"\n" if self._is_torn else b""
        written, fault = self._write(mend + b"".join(lines))
        if not fault:
            self._is_torn = self._is_failing = False
            return len(lines)
        if self._say is not None and not self._is_failing:
            self._say(f"cannot write to {self._name}: {fault}")
        self._is_failing = True
        if written == 0:
            return 0
        ends = list(accumulate(map(len, lines), initial=len(mend)))
        there = bisect_right(ends, written) - 1
        self._is_torn = written != ends[there]
        return there

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _write(self, line: bytes) -> tuple[int, str]:
        """Write a line; return how many bytes are there and, unless it is all of them, what is wrong."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        written = 0
        while written < len(line):
            if self._piece_bytes and not self._has_room(0 if self._is_failing and not written else deadline):
                return written, "its reader has stalled"
            try:
                written += os.write(self._descriptor, line[written:][: self._piece_bytes])
            except BlockingIOError:
                continue  # another writer took the room
            except OSError as error:
                return written, reason_of(error)
        return written, ""

    def _has_room(self, deadline: float) -> bool:
        """Wait until a write can go on, but no longer than to the monotonic second ``deadline``."""
        poller = select.poll()
        poller.register(self._descriptor, select.POLLOUT)
        return bool(poller.poll(max(0.0, deadline - time.monotonic()) * _MS))
