"""A file that lines are appended to, each reported as written or not: `LineFile`.

The file may also be a named pipe or a device. A write to one waits for its reader, by default for `PATIENCE_SECONDS`
at most.
"""

from __future__ import annotations

import errno
import math
import os
import select
import stat
import sys
import time
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from csm_otel.errors import Fault, SettingsError, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STDOUT = Path("-")
"""Stands for this process's stdout."""
REOPEN = b""
"""In place of a line: open the file anew, as it was moved away."""

PATIENCE_SECONDS = 1.0
"""How long a line may wait for the reader of a pipe: one with many spans is longer than the 64 KiB a pipe holds."""

_FILE_BATCH_BYTES = 64 * 1024
_MS = 1000.0


class LineFile:
    """Appends lines to a file, which is created for its owner only."""

    def __init__(
        self,
        descriptor: int,
        name: str,
        *,
        path: Path | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
        say: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Own a descriptor from now on; ``say`` is called with a line for the operator when writing begins to fail.

        ``path`` is where it can be opened anew; ``patience_seconds`` is how long a write waits for the reader of a
        pipe; ``clock`` returns monotonic seconds.
        """
        self._descriptor = descriptor
        self._name = name
        self._path = path
        self._patience_seconds = patience_seconds
        self._say = say
        self._clock = clock
        self._is_failing = False
        self._is_torn = False
        self._piece_bytes = _piece_bytes(descriptor)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        flag: str,
        patience_seconds: float = PATIENCE_SECONDS,
        say: Callable[[str], None] | None = None,
    ) -> LineFile:
        """Open ``path``, as the setting ``flag`` asks for; `STDOUT` stays open for others.

        Raises:
            SettingsError: the file cannot be opened, or is a named pipe without a reader.
        """
        if path == STDOUT:
            if sys.stdout is None:
                raise SettingsError([Fault(flag, "stdout is closed")])
            return cls(os.dup(sys.stdout.fileno()), "stdout", patience_seconds=patience_seconds, say=say)
        try:
            descriptor = _open(path)
        except OSError as error:
            raise SettingsError([Fault(flag, f"{path}: {_why_not(path, error)}")]) from error
        return cls(descriptor, str(path), path=path, patience_seconds=patience_seconds, say=say)

    @property
    def is_failing(self) -> bool:
        """Whether the last write failed."""
        return self._is_failing

    @property
    def is_reopenable(self) -> bool:
        """Whether it has a path to be opened at again, which stdout has not."""
        return self._path is not None

    @property
    def waits_for_reader(self) -> bool:
        """Whether it is a pipe or the like whose reader may take any time."""
        return self._piece_bytes is not None and self._patience_seconds == math.inf

    @property
    def batch_bytes(self) -> int:
        """The number of bytes of lines best appended at once; a pipe accepts that many whole or not at all."""
        return self._piece_bytes or _FILE_BATCH_BYTES

    def append(self, lines: Sequence[bytes]) -> int:
        """Append lines, ends included, and return how many were written: all, or those before the one that failed.

        Those before a `REOPEN` are for the file as it is, those behind it for the one that is at its path by then.
        After a write that failed halfway (disk full, reader stalled) the next one starts on a new line. A pipe's reader
        that has stalled is waited for once; until it reads again all writes fail at once.
        """
        begin = 0
        for end in [at for at, line in enumerate(lines) if line == REOPEN]:
            if begin < end and (written := self._append(lines[begin:end])) < end - begin:
                return begin + written
            self.reopen()
            begin = end + 1
        return begin + (self._append(lines[begin:]) if begin < len(lines) else 0)

    def _append(self, lines: Sequence[bytes]) -> int:
        line_end = b"\n" if self._is_torn else b""
        written, fault = self._write(line_end + b"".join(lines))
        if not fault:
            self._is_torn = self._is_failing = False
            return len(lines)
        if self._say is not None and not self._is_failing:
            self._say(f"cannot write to {self._name}: {fault}")
        self._is_failing = True
        if written == 0:
            return 0
        ends = list(accumulate(map(len, lines), initial=len(line_end)))
        whole = bisect_right(ends, written) - 1
        self._is_torn = written != ends[whole]
        return whole

    def reopen(self) -> None:
        """Open the file at its path, create it if need be, and write to it from now on.

        Where that fails a line reports it, and the file stays the one that it is.
        """
        if self._path is None:
            return
        try:
            descriptor = _open(self._path)
        except OSError as error:
            if self._say is not None:
                self._say(f"cannot reopen {self._name}, still writing to the old one: {_why_not(self._path, error)}")
            return
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._piece_bytes = _piece_bytes(descriptor)
        self._is_torn = False

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _write(self, line: bytes) -> tuple[int, str]:
        """Write bytes; return how many were written and, unless all were, why not."""
        deadline = self._clock() + self._patience_seconds
        written = 0
        while written < len(line):
            if self._piece_bytes and not self._has_room(0 if self._is_failing and not written else deadline):
                return written, "its reader has stalled"
            try:
                written += os.write(self._descriptor, line[written:][: self._piece_bytes])
            except BlockingIOError:
                continue  # another writer was faster
            except OSError as error:
                return written, reason_of(error)
        return written, ""

    def _has_room(self, deadline: float) -> bool:
        """Wait for room for a write, up to the monotonic second ``deadline``, and return whether there is any."""
        poller = select.poll()
        poller.register(self._descriptor, select.POLLOUT)
        return bool(poller.poll(None if deadline == math.inf else max(0.0, deadline - self._clock()) * _MS))


def _open(path: Path) -> int:
    # Non-blocking: opening a pipe without a reader would hang.
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)


def _why_not(path: Path, error: OSError) -> str:
    is_unread = error.errno == errno.ENXIO and path.is_fifo()
    return "nobody reads this pipe" if is_unread else reason_of(error)


def _piece_bytes(descriptor: int) -> int | None:
    """Return how much to write at once; None: no matter.

    A pipe that polls as writable has room for so much; O_NONBLOCK is shared with all that have it open.
    """
    return None if stat.S_ISREG(os.fstat(descriptor).st_mode) else select.PIPE_BUF
