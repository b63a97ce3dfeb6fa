"""What is told regularly while the loop turns, and to whom: `Heartbeat`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.report.status import render_status

if TYPE_CHECKING:
    from collections.abc import Callable

    from csm_otel.engine.bridge import Bridge
    from csm_otel.service.health import Health
    from csm_otel.service.sd_notify import ServiceManager
    from csm_otel.tally import Snapshot

_BEAT_SECONDS = 1.0  # what probes and the status of a service are behind at most


class Heartbeat:
    """Tells probes and the service manager each second that the loop turns, and the operator now and then how it goes.

    Belongs to the loop, see `csm_otel.engine.agent.Service`.
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
        """Begin at ``now``, monotonic seconds; with ``report_seconds`` 0 the operator is told nothing."""
        self._bridge = bridge
        self._health = health
        self._manager = manager
        self._report_seconds = report_seconds
        self._say = say
        self._reported: Snapshot = bridge.snapshot()
        self._next_report = now + report_seconds if report_seconds else None
        # The watchdog wants to hear at half of its patience: sd_watchdog_enabled(3).
        self._beat_seconds = min(_BEAT_SECONDS, manager.watchdog_seconds / 2 or _BEAT_SECONDS)
        self._next_beat = now if health is not None or manager.listens else None

    def fileno(self) -> int:  # ruff: ignore[no-self-use] - the protocol asks
        """Return that there is no descriptor to wait on."""
        return -1

    def next_deadline(self) -> float | None:
        """Return when there is something to be told."""
        return min((due for due in (self._next_report, self._next_beat) if due is not None), default=None)

    def poll(self, *, now: float) -> None:
        """Tell what is due."""
        if self._next_beat is not None and self._next_beat <= now:
            self._next_beat = now + self._beat_seconds
            self._tell_those_who_watch()
        if self._next_report is not None and self._next_report <= now:
            self._next_report = now + self._report_seconds
            self._report()

    def _tell_those_who_watch(self) -> None:
        snapshot, outlets = self._bridge.snapshot(), self._bridge.outlets
        self._manager.alive(render_status(snapshot))
        if self._health is not None:
            self._health.beat(snapshot, troubles=outlets.troubles, keeps=outlets.can_deliver)

    def _report(self) -> None:
        snapshot = self._bridge.snapshot()
        if snapshot != self._reported:
            self._reported = snapshot
            self._say(render_status(snapshot))
