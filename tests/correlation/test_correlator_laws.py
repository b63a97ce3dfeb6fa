"""The laws of the correlator: for any input, no event is lost, duplicated or kept too long, and no index outlives it.

The input is decoded datagrams: bursts of competing calls in any order, some lost, some twice; malformed ones, and
floods of forged ones. Each event has its number as the account id, which correlation ignores.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from itertools import pairwise, starmap
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from arrivals import BOTOCORE, CPP, DOTNET, JAVA, JS, PHP, RUBY, failed, finally_failed, searching_correlator
from datagrams import ABSENT, BASE_MS, TOKEN, attempt, call
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from csm_otel.correlation.correlator import _MAX_EMPTY_GROUPS, Correlator, CorrelatorLimits
from csm_otel.correlation.group import Group
from csm_otel.correlation.matching import fits, is_resent, may_be_last, may_be_retried, may_precede
from csm_otel.correlation.released import CorrelatedCall, OrphanAttempt, Reason, Released
from csm_otel.csm.decoding import decode
from csm_otel.csm.events import ApiCall, Dialect, Event, Peer
from csm_otel.csm.times import NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Callable

_WAIT, _GRACE, _EVENTS, _BYTES = 5.0, 0.5, 40, 20_000
_HOUR_MS = 3_600_000
_HOSTS = ("127.0.0.1", "10.0.0.7")
_STABLE_PORT = {BOTOCORE, CPP, JAVA}
_MAY_REORDER = {RUBY, DOTNET, JS, Dialect.UNKNOWN}

_dialects = st.sampled_from(sorted(Dialect))
_peers = st.builds(Peer, st.sampled_from(_HOSTS), st.integers(1, 2), st.integers(0, 1))


class Sent(NamedTuple):
    """A datagram to be sent; its times are in ms after the start of its burst."""

    is_call: bool
    start: int
    end: int
    changes: dict[str, Any]


@st.composite
def bursts(draw: st.DrawFn) -> list[Sent]:
    """Return the datagrams of concurrent calls, as a network may deliver them."""
    sent: list[Sent] = []
    for _ in range(draw(st.integers(1, 5))):
        count = draw(st.integers(0, 4))
        start = at = draw(st.integers(0, 4))
        fails = draw(st.integers(0, 5)) == 0
        for number in range(count):
            begins = at + draw(st.integers(0, 3))
            at = begins + draw(st.integers(0, 8))
            sent.append(Sent(False, begins, at, failed() if fails or number < count - 1 else {}))
        outcome = finally_failed() if fails else {}
        sent.append(Sent(True, start, at + draw(st.integers(0, 2)), {"AttemptCount": count, **outcome}))
    if draw(st.booleans()):
        sent.sort(key=lambda one: (one.end, one.is_call))
    else:
        sent = draw(st.permutations(sent))
    lost = draw(st.sets(st.integers(0, len(sent) - 1), max_size=2))
    clock_ms = draw(st.sampled_from([0, 0, 0, -_HOUR_MS, _HOUR_MS]))
    stepped_at = draw(st.integers(0, len(sent)))
    return [
        one._replace(start=one.start + clock_ms, end=one.end + clock_ms) if number >= stepped_at else one
        for number, one in enumerate(sent)
        if number not in lost
    ]


_clocks_ms = st.sampled_from([0, 1, -_HOUR_MS, _HOUR_MS, -30 * _HOUR_MS, 10**9])
_latencies = st.sampled_from([ABSENT, None, 0, 5, -5, -_HOUR_MS, 10**8, 10**12, "7", 1.5])
_statuses = st.sampled_from([ABSENT, 0, 200, 301, 503])
_counts = st.sampled_from([ABSENT, None, -1, 0, 1, 2, 4, 10**6, 10**17])

_ROUNDING = 1e-6  # seconds: the time of receipt is in whole nanoseconds since 1970, computed with floats


class CorrelatorMachine(RuleBasedStateMachine):
    """A correlator with arbitrary input in any order, and a model of the pending events."""

    def __init__(self) -> None:
        super().__init__()
        limits = CorrelatorLimits(
            grace_seconds=_GRACE, attempt_wait_seconds=_WAIT, pending_events=_EVENTS, pending_bytes=_BYTES
        )
        self.correlator = Correlator(limits)
        self.searching = searching_correlator(limits)
        self.now = 0.0
        self.numbers = 0
        self.spoofed = 0
        self.history: list[tuple[Event, Peer]] = []
        self.deadlines: defaultdict[str, list[float]] = defaultdict(list)
        """Deadlines of each event, one for each arrival."""
        self.left: Counter[str] = Counter()
        self.waiting: Counter[Peer] = Counter()

    # Input

    @rule(burst=bursts(), dialect=_dialects, peer=_peers, api=st.sampled_from("AB"), gap_ms=st.integers(0, 2))
    def compete(self, burst: list[Sent], dialect: Dialect, peer: Peer, api: str, gap_ms: int) -> None:
        """Receive the datagrams of concurrent calls."""
        began_ms = BASE_MS + int(self.now * 1000)
        for one in burst:
            self.now += gap_ms / 1000
            stamp = began_ms + (one.end if dialect is Dialect.GO else one.start)
            length = one.end - one.start
            if one.is_call:
                self._send(call(dialect, Api=api, Timestamp=stamp, Latency=length, **one.changes), peer)
            else:
                self._send(attempt(dialect, Api=api, Timestamp=stamp, AttemptLatency=length, **one.changes), peer)

    @rule(
        dialect=_dialects,
        peer=_peers,
        clock_ms=_clocks_ms | st.none(),
        latency=_latencies,
        status=_statuses,
        count=_counts,
    )
    def send_an_odd_call(
        self, dialect: Dialect, peer: Peer, clock_ms: int | None, latency: object, status: object, count: object
    ) -> None:
        """Receive a call that no SDK would send."""
        times = {"Timestamp": self._stamp(clock_ms), "Latency": latency}
        self._send(call(dialect, Api="A", **times, FinalHttpStatusCode=status, AttemptCount=count), peer)

    @rule(
        dialect=_dialects,
        peer=_peers,
        clock_ms=_clocks_ms | st.none(),
        latency=_latencies,
        status=_statuses,
        token=st.sampled_from([ABSENT, TOKEN * 8]),
    )
    def send_an_odd_attempt(
        self, dialect: Dialect, peer: Peer, clock_ms: int | None, latency: object, status: object, token: object
    ) -> None:
        """Receive an attempt that no SDK would send."""
        times = {"Timestamp": self._stamp(clock_ms), "AttemptLatency": latency}
        self._send(attempt(dialect, Api="A", **times, HttpStatusCode=status, SessionToken=token), peer)

    @rule(peer=_peers, dialect=_dialects, status=_statuses)
    def send_an_attempt_of_nulls(self, peer: Peer, dialect: Dialect, status: object) -> None:
        """Receive an attempt that was never sent to AWS, and so has no times."""
        nulls = {"Timestamp": None, "AttemptLatency": ABSENT, "HttpStatusCode": status}
        self._send(attempt(dialect, Api="A", **nulls), peer)

    @rule(
        dialect=_dialects,
        spoofed=st.sampled_from(["host", "port", "client id", "api", "nothing"]),
        is_call=st.booleans(),
        size=st.integers(1, 15),
    )
    def flood(self, dialect: Dialect, spoofed: str, size: int, *, is_call: bool) -> None:
        """Receive forged datagrams, each of another group and without a counterpart."""
        times = {"Timestamp": self._stamp(0)}
        for _ in range(size):
            self.spoofed += 1
            name = f"{self.spoofed}"
            peer = Peer(
                f"10.1.{self.spoofed // 256}.{self.spoofed % 256}" if spoofed == "host" else _HOSTS[0],
                10_000 + self.spoofed if spoofed == "port" else 1,
            )
            group = {"ClientId": name if spoofed == "client id" else "", "Api": name if spoofed == "api" else "A"}
            if is_call:
                self._send(call(dialect, **times, **group, AttemptCount=4, **finally_failed()), peer)
            else:
                self._send(attempt(dialect, **times, **group, **failed()), peer)

    @rule(back=st.lists(st.integers(1, 20), min_size=1, max_size=6))
    def repeat(self, back: list[int]) -> None:
        """Receive earlier datagrams once more."""
        for one in back:
            if one <= len(self.history):
                self._receive(*self.history[-one])

    # What passes

    @rule(seconds=st.sampled_from([0.0, 0.001, 0.01, 0.3, 0.5, 4.9, 5.0]))
    def wait(self, seconds: float) -> None:
        """Advance the time for a loop that wakes at each deadline: nothing is pending for longer than that."""
        until = self.now + seconds
        while (deadline := self.correlator.next_deadline()) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self._expire()
        self.now = until
        self._expire()

    @rule(seconds=st.sampled_from([0.3, 5.0, 600.0]))
    def wake_late(self, seconds: float) -> None:
        """Advance the time for a loop that was not scheduled: afterwards nothing is pending beyond its deadline."""
        self.now += seconds
        self._expire()

    @rule(peers=st.lists(_peers, max_size=3))
    def end(self, peers: list[Peer]) -> None:
        """End senders: none of their events is pending any longer, if their generation was known."""
        released = self._both(lambda correlator: correlator.release_peers(peers))
        self._take(released, calls={Reason.COMPLETE, Reason.ENDED}, orphans={Reason.ENDED})
        assert not any(self.waiting[peer] for peer in peers if peer.generation)

    @rule()
    def flush(self) -> None:
        """Flush: everything that arrived has been released, exactly as often, and all indices are empty."""
        groups = list(self.correlator._groups.values())
        self._take(self._both(Correlator.flush), calls={Reason.FLUSHED}, orphans={Reason.FLUSHED})
        assert self.left == {name: len(arrivals) for name, arrivals in self.deadlines.items()}
        assert (self.correlator.pending_events, self.correlator.pending_bytes) == (0, 0)
        assert (self.correlator._groups, self.correlator._by_peer, self.correlator.next_deadline()) == ({}, {}, None)
        for group in groups:
            assert not len(group)
            _check_indices(group)

    # Invariants

    @invariant()
    def nothing_is_lost_or_duplicated(self) -> None:
        """Every event that arrived was released or is pending, and the pending ones are within the bounds."""
        arrived = sum(len(arrivals) for arrivals in self.deadlines.values())
        assert all(count <= len(self.deadlines[name]) for name, count in self.left.items())
        assert arrived - self.left.total() == self.correlator.pending_events
        assert self.correlator.pending_events <= _EVENTS
        assert 0 <= self.correlator.pending_bytes <= _BYTES

    @invariant()
    def indices_have_pending_events_only(self) -> None:
        """Few groups are empty, and the indices have pending events only."""
        groups = self.correlator._groups.values()
        assert len(groups) <= 2 * _EVENTS + _MAX_EMPTY_GROUPS
        assert sum(len(group) for group in groups) == self.correlator.pending_events
        for group in groups:
            _check_indices(group)

    @invariant()
    def index_of_peers_is_complete(self) -> None:
        """The index by peer has exactly the pending events that arrived until it was used last."""
        correlator = self.correlator
        indexed: defaultdict[Peer, set[int]] = defaultdict(set)
        for queue, observed in ((correlator._calls, Group.call), (correlator._attempts, Group.attempt)):
            for key, entry in queue.items():
                peer = observed(entry.group, key).peer
                if peer.generation and key <= correlator._last_indexed:
                    indexed[peer].add(key)
        assert {peer: set(keys) for peer, keys in correlator._by_peer.items()} == indexed

    def teardown(self) -> None:
        """Flush at the end of every run."""
        self.flush()

    def _stamp(self, clock_ms: int | None) -> object:
        return ABSENT if clock_ms is None else BASE_MS + int(self.now * 1000) + clock_ms

    def _send(self, payload: bytes, peer: Peer) -> None:
        self.numbers += 1
        (event,) = decode(payload).events
        event = msgspec.structs.replace(event, account_id=f"{self.numbers}")
        self.history.append((event, peer))
        self._receive(event, peer)

    def _receive(self, event: Event, peer: Peer) -> None:
        correlator = self.correlator
        self.deadlines[event.account_id or ""].append(self.now + (_GRACE if isinstance(event, ApiCall) else _WAIT))
        self.waiting[peer] += 1
        has_room = correlator.pending_events < _EVENTS and correlator.pending_bytes + event.size_bytes <= _BYTES
        received_ns = BASE_MS * NS_PER_MS + int(self.now * 1e9)
        now = self.now
        released = self._both(lambda one: one.receive(event, peer=peer, received_ns=received_ns, now=now))
        pushed_out = set() if has_room else {Reason.EVICTED}
        self._take(released, calls={Reason.COMPLETE} | pushed_out, orphans=pushed_out)
        for one in released:
            if isinstance(one, CorrelatedCall) and one.missing and one.reason is Reason.COMPLETE:
                assert one.call.event.dialect not in _MAY_REORDER
                assert one.call.peer.is_loopback

    def _both(self, ask: Callable[[Correlator], list[Released]]) -> list[Released]:
        """Ask the correlator and the one that searches, which decide the same."""
        released = ask(self.correlator)
        assert released == ask(self.searching)
        return released

    def _expire(self) -> None:
        released = self._both(lambda correlator: correlator.expire(now=self.now))
        self._take(released, calls={Reason.COMPLETE, Reason.EXPIRED}, orphans={Reason.EXPIRED})
        calls = [one for one in released if isinstance(one, CorrelatedCall)]
        assert not any(one.missing for one in calls if one.reason is Reason.COMPLETE)
        following = self.correlator.next_deadline()
        assert following is None or following > self.now
        for name, deadlines in self.deadlines.items():
            assert self.left[name] >= bisect_right(deadlines, self.now)

    def _take(self, released: list[Released], *, calls: set[Reason], orphans: set[Reason]) -> None:
        for one in released:
            if isinstance(one, OrphanAttempt):
                name = one.attempt.event.account_id or ""
                assert one.reason in orphans
                # its own time, as of repeats a call may have taken any
                waited = self.now - (one.attempt.received_ns / NS_PER_MS - BASE_MS) / 1000
                assert one.reason is not Reason.EXPIRED or waited >= _WAIT - _ROUNDING
                self.left[name] += 1
                self.waiting[one.attempt.peer] -= 1
                continue
            assert one.reason in calls
            self.left[one.call.event.account_id or ""] += 1
            self.waiting.subtract([one.call.peer, *(attempt.peer for attempt in one.attempts)])
            self.left.update(attempt.event.account_id or "" for attempt in one.attempts)
            _check_call(one)


def _check_call(released: CorrelatedCall) -> None:
    """Assert that the attempts of a call satisfy the necessary conditions."""
    observed, event = released.call, released.call.event
    assert released.missing >= 0
    assert {_group_of(one.event, one.peer) for one in released.attempts} <= {_group_of(event, observed.peer)}
    if event.dialect is not DOTNET:
        assert all(fits(one, observed) for one in released.attempts)
    resent = [one for one in released.attempts if is_resent(one.event, event) and not may_be_last(one.event, event)]
    attempts = [one for one in released.attempts if one not in resent]
    numbers = {len(attempts) + counted + released.missing for counted in range(len(resent) + 1)}
    assert numbers & _counted(event)
    assert attempts or resent or not released.ambiguous
    if not released.missing:
        assert all(may_be_last(one.event, event) for one in attempts[-1:])
    assert all(may_be_retried(one.event) for one in attempts[:-1])
    if event.dialect in {JS, PHP}:
        starts = [one.match_start_ns for one in attempts[:-1]]
        assert starts == sorted(starts)
    else:
        assert all(starmap(may_precede, pairwise(attempts)))


def _counted(event: ApiCall) -> set[int]:
    """Return the possible numbers of attempts of a call."""
    if event.attempt_count:
        return {event.attempt_count}
    if event.attempt_count is None or event.status is not None:
        return {1}
    return {0, 1} if event.dialect is PHP else {0}


def _group_of(event: Event, peer: Peer) -> tuple[object, ...]:
    port = peer.port if event.dialect in _STABLE_PORT else 0
    return peer.host, port, event.client_id, event.service, event.api, event.dialect


def _check_indices(group: Group) -> None:
    """Assert that the indices of a group agree with its pending events."""
    calls, attempts, owners = group._calls, group._attempts, group._assignment.owners
    assert group._waiting.keys() <= calls.keys()
    wanted = {
        key: {attempt for chain in pending.candidates for attempt in chain.attempts} for key, pending in calls.items()
    }
    assert group._competing == {
        attempt: {key for key, usable in wanted.items() if attempt in usable}
        for attempt in set().union(*wanted.values())
    }
    owned = [(one, pending) for pending in calls.values() for one in (*pending.assigned.attempts, *pending.extra)]
    assert owners == dict(owned)
    assert owners.keys() <= attempts.by_key.keys()
    assert len(owned) == len(owners)
    assert group._assignment.extras == {attempt for pending in calls.values() for attempt in pending.extra}
    assert group._resent.keys() <= attempts.by_key.keys() - group._assignment.extras
    indexed = {key for key in attempts.by_key if key <= attempts._last_indexed}
    timed = {key: attempts[key] for key in indexed if not attempts[key].event.not_sent}
    assert attempts._by_start == sorted((one.match_start_ns, key, one.match_end_ns) for key, one in timed.items())
    assert attempts._by_end == sorted((one.match_end_ns, key, one.match_start_ns) for key, one in timed.items())
    assert attempts._timeless == sorted(indexed - timed.keys())


TestCorrelatorMachine = CorrelatorMachine.TestCase
TestCorrelatorMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_call_without_attempts_is_not_ambiguous() -> None:
    """The laws hold where a call loses its ambiguous attempts to a call that arrives later."""
    machine = CorrelatorMachine()
    refused = failed()
    machine.compete(
        burst=[
            Sent(False, 0, 0, {}),
            Sent(False, 0, 0, refused),
            Sent(False, 2, 2, refused),
            Sent(False, 2, 2, refused),
            Sent(True, 0, 2, {"AttemptCount": 4, **finally_failed()}),
            Sent(False, 0, 0, {}),
            Sent(True, 0, 0, {"AttemptCount": 2}),
            Sent(False, 0, 0, refused),
            Sent(False, 0, 0, refused),
            Sent(True, 0, 0, {"AttemptCount": 2}),
            Sent(False, 2, 2, refused),
        ],
        dialect=DOTNET, peer=Peer("127.0.0.1", 1), api="A", gap_ms=1,
    )  # fmt: skip
    machine.repeat(back=[2])

    machine.flush()
