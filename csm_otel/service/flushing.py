"""One flush of a running daemon, a step each turn of the loop: `Flushing`.

Everything that had arrived when it began is decoded, released, held until its origins are known or not waited for any
longer, exported, and followed until the back end has it. The loop continues to receive meanwhile; later arrivals are
not part of the flush.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.engine.drain import Drain
from csm_otel.report.terminal import counted

if TYPE_CHECKING:
    from csm_otel.engine.bridge import Bridge


class Flushing:
    """Progresses with each `advance`; the loop must run once between two."""

    def __init__(self, bridge: Bridge, *, timeout_seconds: float, now: float, requested_ns: int) -> None:
        """Begin at ``now``, monotonic seconds, with all that arrived until ``requested_ns``, epoch nanoseconds."""
        self._bridge = bridge
        self._timeout_seconds = timeout_seconds
        self._deadline = now + timeout_seconds
        self._lost = bridge.snapshot().spans_lost
        self._requested_ns = requested_ns
        self._is_begun = False
        self._drain: Drain | None = None
        """None until everything that had arrived has been received."""
        self._marks: tuple[int, ...] | None = None
        """Where the exported spans end, see `Outlets.mark`; None until everything has been exported."""

    def advance(self, *, now: float) -> str | None:
        """Progress, and return None while unfinished, "" once all was delivered, or else why it was not."""
        if self._drain is None:
            # The loop has not yet received the datagrams that arrived meanwhile.
            if self._is_begun and self._bridge.agent.has_received_until(self._requested_ns):
                self._drain = Drain(self._bridge.pipeline)
            self._is_begun = True
        elif self._marks is None and self._drain.is_done(now=now):
            self._bridge.pipeline.advance(now=now)
            self._bridge.pipeline.flush()
            self._marks = self._bridge.outlets.mark()
        if self._marks is not None and self._bridge.outlets.is_flushed(self._marks):
            lost = self._bridge.snapshot().spans_lost - self._lost
            return f"{counted(lost, 'span')} dropped or rejected" if lost else ""
        return f"not within {self._timeout_seconds:g} s" if now >= self._deadline else None

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for origins or the back end, so that there is no use in advancing it at once."""
        return self._drain is not None and not self._bridge.pipeline.is_releasing
