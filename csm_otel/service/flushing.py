"""A flush of a running daemon, a step each turn of the loop: `Flushing`; those of several clients: `Flushings`.

Everything that had arrived when it began is decoded, released, held until its origins are known or not waited for any
longer, exported, and followed until the back end has it. So are the spans of processes that had ended, if each process
is a trace. The loop continues to receive meanwhile; later arrivals are not part of the flush.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from csm_otel.engine.drain import Drain
from csm_otel.report.terminal import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from csm_otel.engine.bridge import Bridge

MAX_TIMEOUT_SECONDS = 3600.0
STOPPED = "the daemon is being stopped"
"""Why a flush that had not ended did not deliver everything."""
_POLL_SECONDS = 0.02  # the poll interval while waiting for the back end

Client = TypeVar("Client")


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
        self._ends_until: float | None = None
        """When the ends of processes are due that had been noticed by then; None if there are none to wait for."""
        self._marks: tuple[int, ...] | None = None
        """Where the exported spans end, see `Outlets.mark`; None until everything has been exported."""

    def advance(self, *, now: float) -> str | None:
        """Progress, and return None while unfinished, "" once all was delivered, or else why it was not."""
        if self._drain is None:
            # The loop has not yet received the datagrams that arrived meanwhile.
            if self._is_begun and self._bridge.agent.has_received_until(self._requested_ns):
                self._drain = Drain(self._bridge.pipeline)
                self._ends_until = self._last_end()
            self._is_begun = True
        elif self._marks is None and not self._waits_for_ends() and self._drain.is_done(now=now):
            self._bridge.pipeline.advance(now=now)
            self._bridge.pipeline.flush()
            self._marks = self._bridge.outlets.mark()
        if self._marks is not None and self._bridge.outlets.is_flushed(self._marks):
            lost = self._bridge.snapshot().spans_lost - self._lost
            return f"{counted(lost, 'span')} dropped or rejected" if lost else ""
        return f"not within {self._timeout_seconds:g} s" if now >= self._deadline else None

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for origins, ends or the back end, so that there is no use in advancing it at once."""
        return self._drain is not None and not self._bridge.pipeline.is_releasing

    def _last_end(self) -> float | None:
        finder = self._bridge.origins
        return finder.last_deadline() if finder is not None and self._bridge.pipeline.has_process_spans else None

    def _waits_for_ends(self) -> bool:
        if self._ends_until is None or self._bridge.origins is None:
            return False
        first = self._bridge.origins.next_deadline()
        return first is not None and first <= self._ends_until


def answer_of(bridge: Bridge, why_not: str) -> dict[str, Any]:
    """Return the answer to a flush that has ended; ``why_not`` is empty if everything was delivered."""
    return {"delivered": not why_not, "why_not": why_not, **bridge.snapshot()._asdict()}


class Flushings(Generic[Client]):
    """Flushes side by side, each for a client."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._running: list[tuple[Client, Flushing]] = []
        self._next_poll = 0.0

    def __len__(self) -> int:
        return len(self._running)

    def begin(self, client: Client, *, timeout_seconds: float, now: float, requested_ns: int) -> None:
        """Begin a flush; the arguments are those of `Flushing`."""
        flushing = Flushing(self._bridge, timeout_seconds=timeout_seconds, now=now, requested_ns=requested_ns)
        self._running.append((client, flushing))

    def advance(self, *, now: float, is_gone: Callable[[Client], bool]) -> list[tuple[Client, dict[str, Any]]]:
        """Progress, and return the clients whose flush has ended, each with its answer; drop those that have gone."""
        ended = []
        for client, flushing in list(self._running):
            if is_gone(client):
                self._running.remove((client, flushing))
            elif (why_not := flushing.advance(now=now)) is not None:
                self._running.remove((client, flushing))
                ended.append((client, answer_of(self._bridge, why_not)))
        is_waiting = all(flushing.is_waiting for _, flushing in self._running)
        self._next_poll = now + _POLL_SECONDS if is_waiting else now
        return ended

    def next_deadline(self) -> float | None:
        """Return the monotonic second at which a flush advances, or None."""
        return self._next_poll if self._running else None

    def close(self) -> list[tuple[Client, dict[str, Any]]]:
        """End all that run, as the daemon is being stopped, and return their clients with their answers."""
        ended = [(client, answer_of(self._bridge, STOPPED)) for client, _ in self._running]
        self._running.clear()
        return ended
