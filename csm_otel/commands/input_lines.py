"""The lines of a file that is read, or of stdin: `open_input` and `InputLines`."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from typing import TYPE_CHECKING

from csm_otel.errors import InputError, reason_of
from csm_otel.process.stop import interruptible
from csm_otel.report.terminal import counted

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from csm_otel.process.stop import StopSignal

_BLOCK_BYTES = 65_536  # some 120 datagrams; a pipe holds no more


def open_input(path: Path, stop: StopSignal) -> io.BufferedReader:
    """Return a reader of a file, or of stdin (``-``), that reaches its end once ``stop`` is set.

    Raises:
        InputError: it cannot be opened.
    """
    is_stdin = str(path) == "-"
    if is_stdin and sys.stdin is None:
        raise InputError("-: stdin is closed")
    try:
        # Non-blocking: opening a pipe without a writer would hang.
        descriptor = os.dup(sys.stdin.fileno()) if is_stdin else os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise InputError(_why(path, error)) from error
    return interruptible(descriptor, stop)


class InputLines:
    """The lines of a stream, until a signal stops it; those that cannot be read are counted."""

    def __init__(self, stream: io.BufferedIOBase, path: Path, stop: StopSignal, *, max_line_bytes: int) -> None:
        """Read lines of up to so many bytes; ``path`` is for what is said of them."""
        self._stream = stream
        self._path = path
        self._stop = stop
        self._max_line_bytes = max_line_bytes
        self._is_cut = False
        self.skipped = 0
        self.fault = ""
        """What was wrong with the last line that was skipped."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield each line with anything in it, without its end.

        Raises:
            InputError: the file cannot be read any further.
        """
        for block in self._blocks():
            for text in block.split(b"\n"):
                if self._stop.is_set():
                    return
                if text.strip():  # a writer starts a new line like this after one that it could not finish
                    yield text

    def skip(self, fault: str) -> None:
        """Count a line that cannot be read, and say why."""
        self.skipped += 1
        self.fault = fault

    @property
    def skipped_text(self) -> str:
        """A line for the operator about those that were skipped."""
        return f"{counted(self.skipped, 'line')} of {self._path} skipped: {self.fault}"

    def _blocks(self) -> Iterator[bytes]:
        """Yield whole lines, as many as there are, and wait for no more than the rest of the last one."""
        while block := self._read(self._stream.read1, _BLOCK_BYTES):
            end = block.rfind(b"\n") + 1
            yield block[:end]
            if end < len(block):
                yield self._completed(block[end:])

    def _completed(self, start: bytes) -> bytes:
        """Return the line with this start, or nothing if it is too long."""
        line = start + self._read(self._stream.readline, self._max_line_bytes - len(start))
        if line.endswith(b"\n") or len(line) < self._max_line_bytes:
            return line
        while (rest := self._read(self._stream.readline, self._max_line_bytes)) and not rest.endswith(b"\n"):
            continue
        self.skip(f"longer than {self._max_line_bytes // 2**20} MiB")
        return b""

    def _read(self, read: Callable[[int], bytes], most_bytes: int) -> bytes:
        try:
            some = read(most_bytes)
        except (EOFError, gzip.BadGzipFile, zlib.error):  # each time
            if not (self._is_cut or self._stop.is_set()):
                self.skip("the compressed data is cut or damaged")
            self._is_cut = True
            return b""
        except OSError as error:
            raise InputError(_why(self._path, error)) from error
        return b"" if self._stop.is_set() else some  # the signal may have cut it


def _why(path: Path, error: OSError) -> str:
    return f"{path}: {reason_of(error, 'cannot be read')}"
