"""Events in, correlated calls out: which attempts were made for which call.

Theory of operation
===================
CSM has no ids. An attempt belongs to a call because it coincides with it: the same peer, client id, service, API and
dialect (the *group*), a time inside the call's own, and, for the last attempt, the outcome that the call repeats in its
Final* fields.

- Every SDK but Ruby sends an attempt when it ends and the call right after its last attempt. So a call is matched when
  it arrives, against the attempts that are *pending* in its group: to *chains* of tries that begin with the call, end
  with it and its outcome, each over and failed before the next (`chains`). What fits is a matter of likelihood:
  gaps between clock readings, between receipts, and between one try and the next (`evidence`).
- A call whose chain nobody else may want leaves at once. Calls of one API that end together want the same attempts:
  they are *held*, no longer than a grace period, until all that compete have come, and share the attempts at the least
  cost in all (`group`, `assignment`).
- Ruby sends the call first, .NET and a JavaScript sender with a host name may swap the two, and a network may reorder
  anything. Calls from such senders that miss attempts are held likewise, and look at each attempt that arrives.
- The source port is part of the group where one socket serves a sender for life (botocore, Java's clients, C++), and
  only there: Ruby and PHP 8 open a socket for every datagram, JavaScript and Go change theirs in the middle of a call.
- Identical datagrams are normal under concurrency, so nothing is ever de-duplicated: a call takes as many attempts as
  it counts, and each attempt leaves once.
- An attempt whose call never comes (lost, or the sender died) leaves as an orphan after a wait longer than the longest
  call, or as soon as it is told that its sender has ended. What exceeds the bounds leaves early, oldest first.
- Where another assignment is nearly as likely as the chosen one, every call that it would change and that is still
  held is marked ambiguous, rather than guessed silently.
- Clocks are not trusted: events whose own times are far from their receipt are placed by their receipt instead.

The state machine never waits, logs or schedules: `received_ns` is wall time at receipt, `now` is monotonic seconds.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from csm_otel.correlation.group import Group
from csm_otel.correlation.released import CorrelatedCall, Observed, OrphanAttempt, Reason, Released
from csm_otel.csm.events import ApiCall, ApiCallAttempt, Dialect, Event, Peer
from csm_otel.csm.times import NS_PER_MS, TimestampMode, interval_of

if TYPE_CHECKING:
    from collections.abc import Iterable

# One socket for the sender's life, so that the port tells one sender from another on the same host.
_STEADY_PORT = frozenset({Dialect.BOTOCORE, Dialect.CPP, Dialect.JAVA})
# Ruby sends the call first; .NET sends from tasks that may swap; JavaScript resolves a host name once a datagram.
_MAY_REORDER = frozenset({Dialect.RUBY, Dialect.DOTNET, Dialect.JS, Dialect.UNKNOWN})
# Times further than this from the receipt tell of a stepped or foreign clock, not of a slow delivery.
_PLAUSIBLE_NS = 10 * 60 * 1000 * NS_PER_MS


class CorrelatorLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how much the correlator keeps."""

    grace_seconds: float = 0.25
    """How long a call is held: for attempts that it misses where its sender or the network may reorder, and for calls
    that compete with it for the same attempts."""
    attempt_wait_seconds: float = 900.0
    """How long an attempt waits for its call: longer than the longest call, since an early try arrives early."""
    pending_events: int = 100_000
    pending_bytes: int = 64 * 1024 * 1024
    """Bounds on what waits, counted in bytes of payload; beyond either the oldest leaves."""


class _Key(NamedTuple):
    host: str
    port: int
    client_id: str
    service: str
    api: str
    dialect: Dialect


class _Pending(NamedTuple):
    deadline: float
    key: _Key
    peer: Peer
    size_bytes: int


class Correlator:
    """The state machine: feed it with `receive`, ask `next_deadline`, then `expire`; `flush` at the end.

    `release_peers` is for senders that are known to have ended.
    """

    def __init__(
        self,
        limits: CorrelatorLimits | None = None,
        *,
        timestamp_mode: TimestampMode = TimestampMode.AUTO,
    ) -> None:
        self._limits = limits or CorrelatorLimits()
        self._timestamp_mode = timestamp_mode
        self._groups: dict[_Key, Group] = {}
        # Both in order of arrival, hence of deadline: the waits are constants.
        self._attempts: OrderedDict[int, _Pending] = OrderedDict()
        self._held: OrderedDict[int, _Pending] = OrderedDict()
        # What waits from peers that somebody watches; a generation is theirs alone.
        self._of_peer: dict[Peer, dict[int, None]] = {}
        self._pending_bytes = 0
        self._sequence = 0

    @property
    def pending_events(self) -> int:
        """How many attempts and calls wait."""
        return len(self._attempts) + len(self._held)

    @property
    def pending_bytes(self) -> int:
        """Bytes of payload that the waiting events came in."""
        return self._pending_bytes

    def receive(self, event: Event, *, peer: Peer, received_ns: int, now: float) -> list[Released]:
        """Take an event in and return what it completes, and what it pushes out.

        ``received_ns`` is the wall time of receipt in epoch nanoseconds, ``now`` monotonic seconds.
        """
        observed = self._observe(event, peer, received_ns)
        key = _key_of(event, peer)
        released: list[Released] = []
        if isinstance(event, ApiCall):
            released.extend(self._receive_call(observed, key, now))  # type: ignore[arg-type]
        else:
            released.extend(self._receive_attempt(observed, key, now))  # type: ignore[arg-type]
        released.extend(self._evict())
        return released

    def next_deadline(self) -> float | None:
        """Return the monotonic second at which `expire` has something to do, or None."""
        firsts = [next(iter(queue.values())).deadline for queue in (self._held, self._attempts) if queue]
        return min(firsts, default=None)

    def expire(self, *, now: float) -> list[Released]:
        """Return the calls whose grace and the attempts whose wait has ended."""
        released: list[Released] = []
        for queue in (self._held, self._attempts):
            while queue and next(iter(queue.values())).deadline <= now:
                released.append(self._release(next(iter(queue)), Reason.EXPIRED))
        return released

    def release_peers(self, peers: Iterable[Peer]) -> list[Released]:
        """Return what waits from peers that will send no more: calls with what there is, then the orphans.

        Only peers with a generation are known here, see `Peer`. Pass all peers of a sender together: an attempt and
        its call may have come from different ones.
        """
        waiting = sorted(sequence for peer in peers for sequence in self._of_peer.get(peer, ()))
        released: list[Released] = []
        for queue in (self._held, self._attempts):
            released += [self._release(sequence, Reason.ENDED) for sequence in waiting if sequence in queue]
        return released

    def flush(self) -> list[Released]:
        """Return everything that waits: held calls first, each with what there is, then the orphans."""
        released: list[Released] = []
        for queue in (self._held, self._attempts):
            while queue:
                released.append(self._release(next(iter(queue)), Reason.FLUSHED))
        return released

    def _observe(self, event: Event, peer: Peer, received_ns: int) -> Observed[Event]:
        start_ns, end_ns = interval_of(event, received_ns=received_ns, mode=self._timestamp_mode)
        match_start_ns, match_end_ns = start_ns, end_ns
        if abs(received_ns - end_ns) > _PLAUSIBLE_NS and event.dialect is not Dialect.RUBY:
            match_start_ns, match_end_ns = received_ns - (end_ns - start_ns), received_ns
        return Observed(
            event=event,
            peer=peer,
            received_ns=received_ns,
            start_ns=start_ns,
            end_ns=end_ns,
            match_start_ns=match_start_ns,
            match_end_ns=match_end_ns,
        )

    def _receive_call(self, call: Observed[ApiCall], key: _Key, now: float) -> list[Released]:
        sequence = self._next_sequence()
        deadline = now + self._limits.grace_seconds
        self._keep(self._held, sequence, _Pending(deadline, key, call.peer, call.event.size_bytes))
        return self._release_settled(self._group(key).add_call(sequence, call, waits=_may_still_come(call)))

    def _receive_attempt(self, attempt: Observed[ApiCallAttempt], key: _Key, now: float) -> list[Released]:
        sequence = self._next_sequence()
        deadline = now + self._limits.attempt_wait_seconds
        self._keep(self._attempts, sequence, _Pending(deadline, key, attempt.peer, attempt.event.size_bytes))
        return self._release_settled(self._group(key).add_attempt(sequence, attempt))

    def _group(self, key: _Key) -> Group:
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group()
        return group

    def _release_settled(self, settled: list[int]) -> list[Released]:
        return [self._release_call(sequence, Reason.COMPLETE) for sequence in settled]

    def _release(self, sequence: int, reason: Reason) -> Released:
        if sequence in self._held:
            return self._release_call(sequence, reason)
        owner = self._groups[self._attempts[sequence].key].owner_of(sequence)
        if owner is not None:
            return self._release_call(owner, reason)
        return OrphanAttempt(attempt=self._take_attempt(sequence), reason=reason)

    def _release_call(self, sequence: int, reason: Reason) -> CorrelatedCall:
        pending = self._forget(self._held, sequence)
        group = self._groups[pending.key]
        if reason in (Reason.EXPIRED, Reason.ENDED) and not group.misses_attempts(sequence):
            reason = Reason.COMPLETE  # it was held for doubt only
        call = group.call(sequence)
        choice = group.take_call(sequence)
        attempts = tuple(self._take_attempt(attempt) for attempt in choice.attempts)
        if not group:
            self._groups.pop(pending.key, None)
        return CorrelatedCall(
            call=call, attempts=attempts, missing=choice.missing, ambiguous=choice.ambiguous, reason=reason
        )

    def _take_attempt(self, sequence: int) -> Observed[ApiCallAttempt]:
        pending = self._forget(self._attempts, sequence)
        group = self._groups[pending.key]
        attempt = group.take_attempt(sequence)
        if not group:
            del self._groups[pending.key]
        return attempt

    def _keep(self, queue: OrderedDict[int, _Pending], sequence: int, pending: _Pending) -> None:
        queue[sequence] = pending
        self._pending_bytes += pending.size_bytes
        if pending.peer.generation:
            self._of_peer.setdefault(pending.peer, {})[sequence] = None

    def _forget(self, queue: OrderedDict[int, _Pending], sequence: int) -> _Pending:
        pending = queue.pop(sequence)
        self._pending_bytes -= pending.size_bytes
        if pending.peer.generation:
            of_peer = self._of_peer[pending.peer]
            del of_peer[sequence]
            if not of_peer:
                del self._of_peer[pending.peer]
        return pending

    def _evict(self) -> list[Released]:
        released: list[Released] = []
        limits = self._limits
        while self.pending_events > limits.pending_events or self._pending_bytes > limits.pending_bytes:
            oldest = min(next(iter(queue)) for queue in (self._held, self._attempts) if queue)
            released.append(self._release(oldest, Reason.EVICTED))
        return released

    def _next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence


def _may_still_come(call: Observed[ApiCall]) -> bool:
    return call.event.dialect in _MAY_REORDER or not call.peer.is_loopback


def _key_of(event: Event, peer: Peer) -> _Key:
    port = peer.port if event.dialect in _STEADY_PORT else 0
    return _Key(peer.host, port, event.client_id, event.service, event.api, event.dialect)
