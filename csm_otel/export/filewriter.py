"""Encoded requests to the file, in a thread of its own: `FileWriter`.

To word spans as JSON takes its time and a disk may take any, so the loop that receives datagrams only hands over what
is encoded already. What waits is bounded in bytes; what does not fit is dropped.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from csm_otel.export.jsonfile import OtlpJsonFile
    from csm_otel.tally import Tally

LIMIT_BYTES = 16 * 1024 * 1024
"""Some 40,000 spans, or a few seconds of writing, which is what there is time for at the end."""

_THREAD_END_SECONDS = 0.2  # a thread that the disk does not let go is left behind; it is a daemon


class FileWriter:
    """A first-in first-out queue of encoded requests with the thread that writes them.

    With a tally every span put ends in one of its counts, ``spans_delivered`` or ``spans_dropped["file"]``, which are
    the writer's to change until `close` has returned. Without one a back end's word counts, and nothing here does.
    """

    def __init__(self, file: OtlpJsonFile, *, tally: Tally | None, limit_bytes: int = LIMIT_BYTES) -> None:
        """Take over the file; ``limit_bytes`` bounds what waits, the request being written included."""
        self._file = file
        self._tally = tally
        self._limit_bytes = limit_bytes
        self._changed = threading.Condition()
        """Guards all below, and the tally."""
        self._waiting: deque[tuple[bytes, int]] = deque()
        """Requests with their numbers of spans; the first is being written."""
        self._bytes = 0
        self._put = self._settled = 0
        """Spans taken in, and those of them that wait no more."""
        self._patient_until = float("-inf")
        self._is_closing = False
        self._is_over = False
        self._thread = threading.Thread(target=self._write_all, name="csm-otel-file", daemon=True)
        self._thread.start()

    @property
    def is_failing(self) -> bool:
        """Whether the last request could not be written."""
        return self._file.is_failing

    def mark(self) -> int:
        """Return where what was put up to now ends, for `is_settled`."""
        with self._changed:
            return self._put

    def is_settled(self, mark: int) -> bool:
        """Return whether nothing that was put before the mark waits any more."""
        with self._changed:
            return self._settled >= mark

    def have_patience(self, *, until: float) -> None:
        """Let `put` wait for room from now on, up to a monotonic second: nothing is received meanwhile."""
        with self._changed:
            self._patient_until = until

    def put(self, request: bytes, spans: int) -> None:
        """Take in an encoded request of ``spans`` spans; one that does not fit is dropped. Waits only if told to."""
        with self._changed:
            self._put += spans
            while not (self._fits(request) or self._is_over) and (left := self._patient_until - time.monotonic()) > 0:
                self._changed.wait(min(left, threading.TIMEOUT_MAX))
            if self._is_over or not self._fits(request):
                self._count(spans, is_written=False)
                return
            self._waiting.append((request, spans))
            self._bytes += len(request)
            self._changed.notify_all()

    def close(self, *, deadline_seconds: float) -> None:
        """Write what waits, for at most ``deadline_seconds``, drop the rest, and close the file."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting, deadline_seconds)
            self._is_over = True
            for _, spans in self._waiting:
                self._count(spans, is_written=False)
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join(_THREAD_END_SECONDS)

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closing)
                if not self._waiting:
                    break
                request, spans = self._waiting[0]
            is_written = self._write(request)
            with self._changed:
                if self._is_over:  # given up and counted already
                    break
                self._waiting.popleft()
                self._bytes -= len(request)
                self._count(spans, is_written=is_written)
                self._changed.notify_all()
        self._file.close()

    def _write(self, request: bytes) -> bool:
        try:
            return self._file.write(request)
        except Exception:  # ruff: ignore[blind-except] - one request must not end the writing of all others
            return False

    # Both with the lock held.

    def _fits(self, request: bytes) -> bool:
        return not self._waiting or self._bytes + len(request) <= self._limit_bytes

    def _count(self, spans: int, *, is_written: bool) -> None:
        self._settled += spans
        if self._tally is None:
            return
        if is_written:
            self._tally.spans_delivered += spans
        else:
            self._tally.spans_dropped["file"] += spans
