"""What an operator asks of a running daemon by a signal: `SignalRequests`. HUP reopens its files, USR1 flushes."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from csm_otel.report.status import render_status
from csm_otel.service.flushing import STOPPED, Flushing

if TYPE_CHECKING:
    from collections.abc import Callable

    from csm_otel.engine.bridge import Bridge

_POLL_SECONDS = 0.02  # while waiting for the back end


class SignalRequests:
    """Does what signals have asked for; for the loop's thread, see `csm_otel.engine.agent.Service`."""

    def __init__(
        self,
        bridge: Bridge,
        *,
        take: Callable[[], set[int]],
        timeout_seconds: float,
        say: Callable[[str], None],
        wall_clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Ask ``take`` for the signals received since its last call, which also wake the loop.

        A flush may take ``timeout_seconds``; ``wall_clock_ns`` returns epoch nanoseconds.
        """
        self._bridge = bridge
        self._take = take
        self._timeout_seconds = timeout_seconds
        self._say = say
        self._wall_clock_ns = wall_clock_ns
        self._flushing: Flushing | None = None
        self._is_to_flush = False
        """Whether another flush was asked for, which begins when the running one has ended."""
        self._next_poll = 0.0

    def fileno(self) -> int:  # ruff: ignore[no-self-use] - the protocol asks
        """Return -1: the signals wake the loop by themselves."""
        return -1

    def next_deadline(self) -> float | None:
        """Return the monotonic second at which a flush advances, or None."""
        return self._next_poll if self._flushing is not None else None

    def poll(self, *, now: float) -> None:
        """Do what was asked for, and advance the flush."""
        requested = self._take()
        if signal.SIGHUP in requested:
            self._bridge.outlets.reopen()
        self._is_to_flush |= signal.SIGUSR1 in requested
        if self._is_to_flush and self._flushing is None:
            self._is_to_flush = False
            self._flushing = Flushing(
                self._bridge, timeout_seconds=self._timeout_seconds, now=now, requested_ns=self._wall_clock_ns()
            )
        if self._flushing is not None:
            why_not = self._flushing.advance(now=now)
            if why_not is None:
                self._next_poll = now + _POLL_SECONDS if self._flushing.is_waiting else now
                return
            self._flushing = None
            self._report(why_not)
            self._next_poll = now

    def close(self) -> None:
        """Report a flush that has not ended, or begun: what it waits for is delivered or counted at shutdown."""
        if self._flushing is not None or self._is_to_flush or signal.SIGUSR1 in self._take():
            self._report(STOPPED)

    def _report(self, why_not: str) -> None:
        result = f"not all was delivered: {why_not}" if why_not else "all was delivered"
        self._say(f"flushed on SIGUSR1, {result}: {render_status(self._bridge.snapshot())}")
