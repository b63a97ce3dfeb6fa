"""Events in, calls with their attempts out: `Correlator`.

Theory of operation
===================
CSM has no ids. An attempt belongs to a call because it coincides with it: the same peer, client id, service, API and
dialect (the *group*), times within the call's and, for the last attempt, the result that the call repeats in its Final*
fields.

- Every SDK but Ruby's sends an attempt when it ends, and the call right after its last attempt. So a call is matched on
  arrival, with the *pending* attempts of its group. Its candidates are *chains* of attempts: the first begins with the
  call, the last ends with the call and its result, and each one before failed and was over when the next began
  (`matching`, `chains`). The cost of a chain is its negative log-likelihood, from the gaps between clock readings,
  between receipts, and between one attempt and the next (`evidence`).
- A call that does not compete with others for its attempts is released at once; most calls have one attempt, which
  alone fits, so that not even its cost has to be known. Concurrent calls of one API compete:
  they stay pending, for a grace period at most, until the calls that compete have all arrived and are assigned attempts
  at the minimum total cost (`assignment`). Then all of them are *settled* and released (`group`).
- There are more chains than can be examined: a call has a few candidates, the cheapest of all pending attempts. Among
  many retries they are all variations of the same few attempts, which other calls may own in the end. So where a call
  would displace others, candidates of what no other call owns are added for all of them.
- How long a sender waits before a retry says most about which attempts are of one call. It depends on the SDK, its
  version and its settings, of which the user agent tells some; the rest is learnt (`backoffs`).
- Ruby sends the call first, .NET and a JavaScript sender with a host name may swap call and attempt, and a network may
  reorder anything. Calls of such senders that miss attempts stay pending likewise, and are matched with each attempt
  that arrives.
- The source port is part of the group only where a sender has one socket for life (botocore, Java's clients, C++). Ruby
  and PHP 8 open a socket for every datagram; JavaScript and Go change theirs during a call.
- An attempt that Ruby sent again elsewhere, for a redirect or a bucket of another region, is not counted by its call.
  It arrives after that, and becomes an extra attempt of the waiting call that it fits best.
- Identical datagrams are normal under concurrency, so nothing is de-duplicated: a call gets as many attempts as it
  counts, and each attempt is released once.
- An attempt whose call never arrives (lost, or the sender died) is released as an orphan, after a wait longer than the
  longest call or when its sender is known to have ended. Beyond the bounds, the oldest events are released early.
- Where another assignment is nearly as likely, every pending call that it would change is marked ambiguous.
- Clocks are not trusted: an event whose times are far from its receipt is matched by its receipt instead.

The correlator never waits, logs or schedules: `received_ns` is wall time at receipt, `now` is monotonic seconds.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import takewhile
from typing import TYPE_CHECKING

import msgspec

from csm_otel.correlation.backoffs import Learner
from csm_otel.correlation.group import Group
from csm_otel.correlation.released import CorrelatedCall, E, Observed, OrphanAttempt, Reason, Released
from csm_otel.csm.events import ApiCall, ApiCallAttempt, Dialect, Event, Peer
from csm_otel.csm.times import NS_PER_MS, TimestampMode, interval_of

if TYPE_CHECKING:
    from collections.abc import Iterable

# One socket for the sender's life, so that the port distinguishes senders on one host.
_STABLE_PORT = frozenset({Dialect.BOTOCORE, Dialect.CPP, Dialect.JAVA})
# Ruby sends the call first; .NET sends from concurrent tasks; JavaScript resolves a host name for every datagram.
_MAY_REORDER = frozenset({Dialect.RUBY, Dialect.DOTNET, Dialect.JS, Dialect.UNKNOWN})
_MAX_EMPTY_GROUPS = 1024  # beside as many as events are pending: more than threads and clients of a busy host
# Times further than this from the receipt are those of a stepped or unsynchronised clock, not of a slow delivery.
_MAX_SKEW_NS = 10 * 60 * 1000 * NS_PER_MS
_COMPLETE = Reason.COMPLETE  # which is a call before CPython 3.12


class CorrelatorLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds on the time and the number of pending events."""

    grace_seconds: float = 0.25
    """How long a call is pending: for missing attempts, where its sender or the network may reorder, and for calls that
    compete with it for attempts."""
    attempt_wait_seconds: float = 900.0
    """How long an attempt is pending: longer than the longest call, whose first attempt is sent early."""
    pending_events: int = 100_000
    pending_bytes: int = 64 * 1024 * 1024
    """In bytes of payload. Beyond either bound the oldest events are evicted."""


_GroupKey = tuple[str, int, str, str, str, Dialect]
"""Host, port, client id, service, API, dialect."""


class _Entry(msgspec.Struct, frozen=True, gc=False):
    """A pending event, which its group has."""

    deadline: float
    group: Group


class Correlator:
    """A state machine that assigns attempts to calls.

    Pass it events with `receive`, call `expire` at `next_deadline`, `release_peers` when senders have ended, `flush` at
    the end. Each of these returns the calls and attempts that it releases.
    """

    def __init__(
        self,
        limits: CorrelatorLimits | None = None,
        *,
        timestamp_mode: TimestampMode = TimestampMode.AUTO,
    ) -> None:
        """Begin with nothing pending; ``timestamp_mode`` may be a text.

        Raises:
            ValueError: the text is not one of `TimestampMode`.
        """
        self._limits = limits or CorrelatorLimits()
        self._timestamp_mode = TimestampMode(timestamp_mode)  # it is compared by identity
        self._groups: dict[_GroupKey, Group] = {}
        """Those of pending events, and some that are empty: calls made one after the other empty theirs each time."""
        self._spare: list[Group] = []
        """Empty groups that were dropped, to be used again."""
        self._learner = Learner()
        # Both in order of arrival, hence of deadlines: the waits are constant.
        self._attempts: OrderedDict[int, _Entry] = OrderedDict()
        self._calls: OrderedDict[int, _Entry] = OrderedDict()
        self._by_peer: dict[Peer, dict[int, None]] = {}
        """The keys of pending events by peer, up to the last one indexed: most events leave before a sender ends.

        Only of peers with a generation, as only those identify a process.
        """
        self._last_indexed = 0
        self._pending_bytes = 0
        self._last_key = 0

    @property
    def pending_events(self) -> int:
        """The number of pending calls and attempts."""
        return len(self._attempts) + len(self._calls)

    @property
    def pending_bytes(self) -> int:
        """The bytes of payload of the pending events."""
        return self._pending_bytes

    def receive(self, event: Event, *, peer: Peer, received_ns: int, now: float) -> list[Released]:
        """Return the calls that an event settles, and whatever is evicted to make room for it.

        ``received_ns`` is the wall time of receipt in epoch nanoseconds, ``now`` monotonic seconds.
        """
        group = self._group_of(event, peer)
        if isinstance(event, ApiCall):
            return self._receive_call(self._observe(event, peer, received_ns), group, now)
        return self._receive_attempt(self._observe(event, peer, received_ns), group, now)

    def next_deadline(self) -> float | None:
        """Return the earliest deadline of a pending event in monotonic seconds, or None if there is none."""
        earliest = [next(iter(queue.values())).deadline for queue in (self._calls, self._attempts) if queue]
        return min(earliest, default=None)

    def expire(self, *, now: float) -> list[Released]:
        """Return the calls and attempts whose deadline has passed."""
        released: list[Released] = []
        for queue in (self._calls, self._attempts):
            while queue and next(iter(queue.values())).deadline <= now:
                released.append(self._release(next(iter(queue)), Reason.EXPIRED))
        self._limit_empty_groups()
        return released

    def release_peers(self, peers: Iterable[Peer]) -> list[Released]:
        """Return the pending events of peers that will send no more: calls with their attempts, then the orphans.

        Only peers with a generation are known here, see `Peer`. Pass all peers of a sender together: an attempt and
        its call may have come from different ones.
        """
        self._index_by_peer()
        keys = sorted(key for peer in peers for key in self._by_peer.get(peer, ()))
        released: list[Released] = []
        for queue in (self._calls, self._attempts):
            released += [self._release(key, Reason.ENDED) for key in keys if key in queue]
        return released

    def flush(self) -> list[Released]:
        """Return all pending events: calls with their attempts, then the orphans."""
        released: list[Released] = []
        for queue in (self._calls, self._attempts):
            while queue:
                released.append(self._release(next(iter(queue)), Reason.FLUSHED))
        self._groups.clear()
        return released

    def _observe(self, event: E, peer: Peer, received_ns: int) -> Observed[E]:
        start_ns, end_ns = interval_of(event, received_ns=received_ns, mode=self._timestamp_mode)
        match_start_ns, match_end_ns = start_ns, end_ns
        if abs(received_ns - end_ns) > _MAX_SKEW_NS and event.dialect is not Dialect.RUBY:
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

    def _group_of(self, event: Event, peer: Peer) -> Group:
        port = peer.port if event.dialect in _STABLE_PORT else 0
        key = peer.host, port, event.client_id, event.service, event.api, event.dialect
        group = self._groups.get(key)
        if group is None:
            self._limit_empty_groups()
            group = self._groups[key] = self._spare.pop() if self._spare else Group(self._learner)
        return group

    def _limit_empty_groups(self) -> None:
        if len(self._groups) > 2 * self.pending_events + _MAX_EMPTY_GROUPS:
            self._spare[:] = [group for group in self._groups.values() if not len(group)][:_MAX_EMPTY_GROUPS]
            self._groups = {key: group for key, group in self._groups.items() if len(group)}

    def _receive_call(self, call: Observed[ApiCall], group: Group, now: float) -> list[Released]:
        certain = group.certain_attempts(call)
        if certain:
            if len(certain) > 1:
                group.learn_from(call, certain)
            return [_complete(call, tuple(map(self._remove_attempt, certain)))]
        key = self._add(self._calls, now + self._limits.grace_seconds, group, call.event)
        return self._release_settled(group.add_call(key, call, waits=_may_precede_attempts(call)))

    def _receive_attempt(self, attempt: Observed[ApiCallAttempt], group: Group, now: float) -> list[Released]:
        certain = group.certain_call(attempt)
        if certain is not None:
            del self._calls[certain]
            call = group.pop_call(certain)
            self._forget(certain, call)
            return [_complete(call, (attempt,))]
        key = self._add(self._attempts, now + self._limits.attempt_wait_seconds, group, attempt.event)
        return self._release_settled(group.add_attempt(key, attempt))

    def _add(self, queue: OrderedDict[int, _Entry], deadline: float, group: Group, event: Event) -> int:
        """Return the key of a new pending event."""
        self._last_key = key = self._last_key + 1
        queue[key] = _Entry(deadline, group)
        self._pending_bytes += event.size_bytes
        return key

    def _release_settled(self, settled: list[int]) -> list[Released]:
        """Return the calls that a new event has settled, and what is evicted to make room for it."""
        released: list[Released] = [self._release_call(key, _COMPLETE) for key in settled] if settled else []
        attempts, calls, limits = self._attempts, self._calls, self._limits
        while len(attempts) + len(calls) > limits.pending_events or self._pending_bytes > limits.pending_bytes:
            oldest = min(next(iter(queue)) for queue in (calls, attempts) if queue)
            released.append(self._release(oldest, Reason.EVICTED))
        return released

    def _release(self, key: int, reason: Reason) -> Released:
        if key in self._calls:
            return self._release_call(key, reason)
        owner = self._attempts[key].group.owner_of(key)
        if owner is not None:
            return self._release_call(owner, reason)
        return OrphanAttempt(attempt=self._remove_attempt(key), reason=reason)

    def _release_call(self, key: int, reason: Reason) -> CorrelatedCall:
        group = self._calls.pop(key).group
        if reason in (Reason.EXPIRED, Reason.ENDED) and not group.is_incomplete(key):
            reason = Reason.COMPLETE  # it was pending only because of competing calls
        call = group.call(key)
        self._forget(key, call)
        match = group.remove_call(key)
        attempts = tuple(map(self._remove_attempt, match.attempts))
        return CorrelatedCall(
            call=call, attempts=attempts, missing=match.missing, ambiguous=match.ambiguous, reason=reason
        )

    def _remove_attempt(self, key: int) -> Observed[ApiCallAttempt]:
        attempt = self._attempts.pop(key).group.remove_attempt(key)
        self._forget(key, attempt)
        return attempt

    def _forget(self, key: int, observed: Observed[Event]) -> None:
        """Subtract an event that leaves, and remove it from the index."""
        self._pending_bytes -= observed.event.size_bytes
        if key <= self._last_indexed and observed.peer.generation:
            keys = self._by_peer[observed.peer]
            del keys[key]
            if not keys:
                del self._by_peer[observed.peer]

    def _index_by_peer(self) -> None:
        """Index the events that have arrived since the last time and are still pending."""
        for queue, observed in ((self._calls, Group.call), (self._attempts, Group.attempt)):
            for key, entry in takewhile(lambda item: item[0] > self._last_indexed, reversed(queue.items())):
                peer = observed(entry.group, key).peer
                if peer.generation:
                    self._by_peer.setdefault(peer, {})[key] = None
        self._last_indexed = self._last_key


def _complete(call: Observed[ApiCall], attempts: tuple[Observed[ApiCallAttempt], ...]) -> CorrelatedCall:
    return CorrelatedCall(call=call, attempts=attempts, missing=0, ambiguous=False, reason=_COMPLETE)


def _may_precede_attempts(call: Observed[ApiCall]) -> bool:
    """Whether a call may arrive before its attempts."""
    return call.event.dialect in _MAY_REORDER or not call.peer.is_loopback
