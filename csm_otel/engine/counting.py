"""The pipeline's counts in the tally, and the warnings that go with them: `Counting`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.correlation.released import CorrelatedCall
from csm_otel.csm.events import ApiCall

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Collection, Iterable, Sequence

    from csm_otel.correlation.released import Released
    from csm_otel.csm.decoding import Decoded
    from csm_otel.process.speaker import Speaker
    from csm_otel.tally import SocketCounters, Tally


class Counting:
    """Counts datagrams, events, calls and orphans in a tally; the delivery counts spans."""

    def __init__(self, tally: Tally, speaker: Speaker) -> None:
        """Count in ``tally``, and warn through ``speaker`` of unwanted datagrams."""
        self._tally = tally
        self._speaker = speaker

    def count_datagram(self, decoded: Decoded) -> None:
        """Count a received datagram: its events and rejected objects, or why it is malformed."""
        tally = self._tally
        events, rejected, other_versions, _ = decoded
        tally.datagrams_received += 1
        if not events:
            self._reject(rejected[0] if rejected else "empty", tally.malformed)
            return
        tally.datagrams_decoded += 1
        for event in events:
            if isinstance(event, ApiCall):
                tally.calls += 1
            else:
                tally.attempts += 1
        for reason in rejected:
            self._reject(reason, tally.objects_rejected)
        if other_versions:
            tally.other_versions += other_versions

    def count_not_allowed(self) -> None:
        """Count a datagram from outside the allowed networks."""
        self._tally.datagrams_received += 1
        self._tally.datagrams_not_allowed += 1
        self._speaker.warn("received datagrams from outside the networks of --allow-from", kind="not_allowed")

    def count_reported(self, calls: int) -> None:
        """Count a datagram in which a nested `exec` reports the calls that it has seen."""
        self._tally.datagrams_received += 1
        self._tally.reports += 1
        self._tally.calls_reported += calls

    def count_undecoded(self, count: int) -> None:
        """Count datagrams left undecoded at shutdown."""
        self._tally.datagrams_received += count
        self._tally.datagrams_undecoded += count

    def count_late(self, count: int) -> None:
        """Count datagrams that arrived after the end of the command or of the daemon."""
        self._tally.datagrams_late += count

    def record_sockets(self, sockets: Sequence[SocketCounters]) -> set[tuple[str, int]]:
        """Record the counters of all sockets and return the addresses of those that have dropped more than before."""
        before = {counters.address: counters.dropped_by_kernel or 0 for counters in self._tally.sockets}
        self._tally.sockets = tuple(sockets)
        return {one.address for one in sockets if (one.dropped_by_kernel or 0) > before.get(one.address, 0)}

    def record_kernel_drops(self, dropped: int) -> bool:
        """Record the datagrams dropped by the kernel since the start, and return whether the count is a new one."""
        is_new = self._tally.datagrams_dropped_by_kernel != dropped
        self._tally.datagrams_dropped_by_kernel = dropped
        return is_new

    def count_released(self, released: Iterable[Released]) -> None:
        """Count calls with their attempts, and orphans."""
        tally = self._tally
        for one in released:
            if isinstance(one, CorrelatedCall):
                tally.released[one.reason] += 1
                tally.attempts_in_calls += len(one.attempts)
                tally.attempts_missing += one.missing
                tally.ambiguous += one.ambiguous
            else:
                tally.orphans[one.reason] += 1

    def count_abandoned(self, abandoned: Collection[Released]) -> None:
        """Count calls and orphans dropped at shutdown for lack of time: their spans are dropped."""
        self.count_released(abandoned)
        spans = sum(1 + len(one.attempts) if isinstance(one, CorrelatedCall) else 1 for one in abandoned)
        if spans:
            self._tally.spans_created += spans
            self._tally.spans_dropped["shutdown"] += spans

    def count_unknown_origin(self) -> None:
        """Count a call or orphan from this host whose process is not known."""
        self._tally.origins_unknown += 1

    def _reject(self, reason: str, counts: Counter[str]) -> None:
        counts[reason] += 1
        self._speaker.warn(f"received datagrams that are no CSM events: {reason}", kind=f"malformed:{reason}")
