"""Regular reports of a running loop: to probes, the service manager and the operator (`Heartbeat`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.report.status import render_status

if TYPE_CHECKING:
    from collections.abc import Callable

    from csm_otel.engine.bridge import Bridge
    from csm_otel.service.health import Health
    from csm_otel.service.sd_notify import ServiceManager
    from csm_otel.tally import Snapshot

_BEAT_SECONDS = 1.0  # how old the counts of probes and of the service's status are at most


class Heartbeat:
    """Reports the counts to probes and the service manager each second, and to the operator at an interval.

    For the loop's thread, see `csm_otel.engine.agent.Service`.
    """

    def __init__(
        self,
        bridge: Bridge,
        *,
        health: Health | None,
        manager: ServiceManager,
        report_seconds: float,
        say: Callable[[str], None],
        now: float,
    ) -> None:
        """Begin at ``now``, monotonic seconds; with ``report_seconds`` 0 the operator gets no reports."""
        self._bridge = bridge
        self._health = health
        self._manager = manager
        self._report_seconds = report_seconds
        self._say = say
        self._reported: Snapshot = bridge.snapshot()
        self._next_report = now + report_seconds if report_seconds else None
        # sd_watchdog_enabled(3) recommends half of the watchdog's timeout.
        self._beat_seconds = min(_BEAT_SECONDS, manager.watchdog_seconds / 2 or _BEAT_SECONDS)
        self._next_beat = now if health is not None or manager.is_present else None

    def fileno(self) -> int:  # ruff: ignore[no-self-use] - the protocol asks
        """Return -1: there is no descriptor to wait on."""
        return -1

    def next_deadline(self) -> float | None:
        """Return the monotonic second at which the next report is due, or None."""
        return min((due for due in (self._next_report, self._next_beat) if due is not None), default=None)

    def poll(self, *, now: float) -> None:
        """Make the reports that are due."""
        if self._next_beat is not None and self._next_beat <= now:
            self._next_beat = now + self._beat_seconds
            self._beat()
        if self._next_report is not None and self._next_report <= now:
            self._next_report = now + self._report_seconds
            self._report()

    def _beat(self) -> None:
        snapshot, outlets = self._bridge.snapshot(), self._bridge.outlets
        self._manager.keep_alive(render_status(snapshot))
        if self._health is not None:
            self._health.beat(snapshot, troubles=outlets.troubles, can_deliver=outlets.can_deliver)

    def _report(self) -> None:
        snapshot = self._bridge.snapshot()
        if snapshot != self._reported:
            self._reported = snapshot
            self._say(render_status(snapshot))
