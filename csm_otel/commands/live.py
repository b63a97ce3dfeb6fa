"""The lines of ``--live``: finished calls on stderr, while the command or the daemon runs (`open_live`)."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING

from csm_otel.report.live import LiveLines
from csm_otel.report.rows import offset_of
from csm_otel.report.terminal import Terminal, counted, wants_color

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TextIO

    from csm_otel.spans.data import SpanData

_LOG_WIDTH = 120  # columns, where stderr is no terminal
_MAX_WAITING = 200  # texts: some seconds' worth
_CLOSE_SECONDS = 1.0
_QUIET_SECONDS = 1.0


class Live:
    """Prints lines by a thread of its own: a terminal that is paused, or a full pipe, must not delay receiving."""

    def __init__(self, lines: LiveLines, *, write: Callable[[bytes], int], clock: Callable[[], float]) -> None:
        """Write by ``write``, which may block and returns how many bytes it took.

        ``clock`` returns monotonic seconds.
        """
        self._lines = lines
        """Used with the lock held."""
        self._lock = threading.Lock()
        self._write = write
        self._clock = clock
        self._texts: Queue[str | None] = Queue(_MAX_WAITING)
        self._writing = ""
        """What the thread is writing."""
        self._without_room = 0
        self._failed = 0
        """Lines, each counted by one thread."""
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)
        self._thread.start()

    def add(self, spans: Sequence[SpanData]) -> None:
        """Add a call followed by its attempts."""
        with self._lock:
            text = self._lines.add(spans, now=self._clock())
        self._put(text)

    def close(self, *, say: Callable[[str], None]) -> None:
        """Write what is left, for a second at most; ``say`` is called with a line if some was not written."""
        with self._lock:
            text = self._lines.flush()
        self._put(text)
        with contextlib.suppress(Full):
            self._texts.put(None, timeout=_CLOSE_SECONDS)
            self._thread.join(_CLOSE_SECONDS)
        unwritten = self._without_room + self._failed + self._writing.count("\n")
        with contextlib.suppress(Empty):
            while True:
                unwritten += (self._texts.get_nowait() or "").count("\n")
        if unwritten:
            say(f"--live: {counted(unwritten, 'line')} not written, as stderr was not read or is closed")

    def _put(self, text: str) -> None:
        if not text:
            return
        try:
            self._texts.put_nowait(text)
        except Full:
            self._without_room += text.count("\n")

    def _run(self) -> None:
        while (text := self._next()) is not None:
            self._writing = text
            try:
                left = text.encode()
                while left:
                    left = left[self._write(left) :]
            except OSError:
                self._failed += text.count("\n")
            self._writing = ""

    def _next(self) -> str | None:
        """Return the next text, None at the end. After a second without one, calls that had no line are due theirs."""
        while True:
            try:
                return self._texts.get(timeout=_QUIET_SECONDS)
            except Empty:
                with self._lock:
                    if text := self._lines.flush():
                        return text


def open_live(stream: TextIO | None, environ: Mapping[str, str], *, start_ns: int | None) -> Live | None:
    """Return what prints lines to a stream; None if it is closed.

    With ``start_ns``, epoch nanoseconds, each line begins with the offset of its call, else with its time and
    application. The stream is written to by its descriptor, a whole line at a time, as a command may write to it, too.
    """
    if stream is None:
        return None
    is_terminal = stream.isatty()
    terminal = Terminal(
        width=shutil.get_terminal_size((_LOG_WIDTH, 24)).columns if is_terminal else _LOG_WIDTH,
        color=wants_color(environ, is_terminal=is_terminal),
        ascii_only="utf" not in (stream.encoding or "").lower(),
    )

    def stamp(span: SpanData) -> str:
        if start_ns is not None:
            return offset_of(span.start_ns, start_ns)
        at = time.strftime("%H:%M:%S", time.localtime(span.start_ns // 1_000_000_000))
        return f"{at} {span.resource.service_name}"

    descriptor = stream.fileno()
    return Live(LiveLines(terminal, stamp=stamp), write=lambda text: os.write(descriptor, text), clock=time.monotonic)
