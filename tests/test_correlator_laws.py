"""The laws of the correlator: it neither loses nor doubles anything."""

from __future__ import annotations

from collections import Counter

from arrivals import BOTOCORE, CPP, DOTNET, GO, JAVA, JS, PHP, RUBY
from datagrams import BASE_MS
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from csm_otel.correlator import Correlator, CorrelatorLimits, OrphanAttempt, Released
from csm_otel.events import ApiCall, ApiCallAttempt, Dialect, Peer
from csm_otel.times import NS_PER_MS

_WAIT, _GRACE, _EVENTS, _BYTES = 5.0, 0.5, 12, 6_000
_small = st.integers(0, 40)
_dialects = st.sampled_from([BOTOCORE, GO, RUBY, PHP, JS, DOTNET, JAVA, CPP])


class CorrelatorMachine(RuleBasedStateMachine):
    """Anything may arrive in any order, twice or never; nothing is lost, doubled or kept too long.

    Events carry their number as the account id, which nothing in the matching looks at; equal numbers are repeats.
    """

    def __init__(self) -> None:
        super().__init__()
        self.correlator = Correlator(
            CorrelatorLimits(
                grace_seconds=_GRACE, attempt_wait_seconds=_WAIT, pending_events=_EVENTS, pending_bytes=_BYTES
            )
        )
        self.now = 0.0
        self.arrived: Counter[tuple[bool, str]] = Counter()
        self.left: Counter[tuple[bool, str]] = Counter()
        self.deadlines: dict[tuple[bool, str], float] = {}

    def _take(self, released: list[Released]) -> None:
        for one in released:
            if isinstance(one, OrphanAttempt):
                self.left[False, one.attempt.event.account_id or ""] += 1
                continue
            call = one.call.event
            self.left[True, call.account_id or ""] += 1
            self.left.update((False, attempt.event.account_id or "") for attempt in one.attempts)
            assert one.missing >= 0
            assert len(one.attempts) + one.missing == max(call.attempt_count or 0, 1)
            before_last = [attempt.start_ns for attempt in one.attempts[:-1]]
            assert before_last == sorted(before_last)
            assert {(a.event.service, a.event.api, a.event.client_id, a.event.dialect) for a in one.attempts} <= {
                (call.service, call.api, call.client_id, call.dialect)
            }

    def _receive(self, event: ApiCall | ApiCallAttempt, host: str) -> None:
        name = isinstance(event, ApiCall), event.account_id or ""
        self.arrived[name] += 1
        self.deadlines[name] = self.now + (_GRACE if name[0] else _WAIT)
        received_ns = BASE_MS * NS_PER_MS + int(self.now * 1e9)
        self._take(self.correlator.receive(event, peer=Peer(host, 1), received_ns=received_ns, now=self.now))

    @rule(
        number=_small,
        dialect=_dialects,
        api=st.sampled_from("AB"),
        count=st.integers(0, 3),
        latency=st.integers(0, 300) | st.none(),
        status=st.sampled_from([200, 503]),
        host=st.sampled_from(["127.0.0.1", "10.0.0.7"]),
    )
    def receive_call(
        self, *, number: int, dialect: Dialect, api: str, count: int, latency: int | None, status: int, host: str
    ) -> None:
        """Let a call arrive."""
        start_ms = BASE_MS + int(self.now * 1000) - (latency or 0)
        event = ApiCall(
            dialect=dialect,
            service="S3",
            api=api,
            timestamp_ms=start_ms,
            latency_ms=latency,
            status=status,
            attempt_count=count,
            account_id=f"{number}",
            size_bytes=300,
        )
        self._receive(event, host)

    @rule(
        number=_small,
        dialect=_dialects,
        api=st.sampled_from("AB"),
        latency=st.integers(0, 300) | st.none(),
        status=st.sampled_from([200, 503, None]),
        size_bytes=st.sampled_from([300, 4_000]),
        host=st.sampled_from(["127.0.0.1", "10.0.0.7"]),
    )
    def receive_attempt(
        self,
        *,
        number: int,
        dialect: Dialect,
        api: str,
        latency: int | None,
        status: int | None,
        size_bytes: int,
        host: str,
    ) -> None:
        """Let an attempt arrive."""
        start_ms = BASE_MS + int(self.now * 1000) - (latency or 0)
        event = ApiCallAttempt(
            dialect=dialect,
            service="S3",
            api=api,
            timestamp_ms=start_ms,
            latency_ms=latency,
            status=status,
            account_id=f"{number}",
            size_bytes=size_bytes,
        )
        self._receive(event, host)

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.3, 0.5, 4.9, 5.0]))
    def expire(self, seconds: float) -> None:
        """Let time pass: afterwards nothing waits beyond its deadline."""
        self.now += seconds
        self._take(self.correlator.expire(now=self.now))
        following = self.correlator.next_deadline()
        assert following is None or following > self.now
        late = [name for name, deadline in self.deadlines.items() if deadline <= self.now]
        assert all(self.left[name] == self.arrived[name] for name in late)

    @rule()
    def flush(self) -> None:
        """Empty it: everything that ever arrived has left, exactly as often."""
        self._take(self.correlator.flush())
        assert self.left == self.arrived
        assert (self.correlator.pending_events, self.correlator.pending_bytes) == (0, 0)
        assert self.correlator._groups == {}
        assert self.correlator.next_deadline() is None

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        """What has arrived has left or waits, and what waits is within the bounds."""
        assert not self.left - self.arrived
        assert sum((self.arrived - self.left).values()) == self.correlator.pending_events
        assert self.correlator.pending_events <= _EVENTS
        assert 0 <= self.correlator.pending_bytes <= _BYTES

    def teardown(self) -> None:
        """End every run empty."""
        self.flush()


TestCorrelatorMachine = CorrelatorMachine.TestCase
TestCorrelatorMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
