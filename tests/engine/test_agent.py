"""The whole pipeline in this process, over real sockets, with unwanted datagrams.

Datagrams are sent in bursts that fit the receive buffer, the next one as soon as the loop has received the last.
"""

from __future__ import annotations

import io
import itertools
import socket
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from activated import bound_socket
from configured import configured
from datagrams import ABSENT, attempt, call
from intake.sending import own_socket
from loopback import HOSTS, send_from_anywhere
from otlp_backend import DEADLINE_SECONDS, FOREVER_SECONDS, wait_until
from platforms import on_linux

from csm_otel.commands.wiring import build_bridge
from csm_otel.csm.decoding import Decoded, decode
from csm_otel.csm.events import ApiCall, Dialect, Peer
from csm_otel.engine import agent as agent_module
from csm_otel.engine.agent import _DATAGRAMS_PER_TURN, _MAX_READ_SECONDS, _TURN_SECONDS, Agent
from csm_otel.engine.counting import Counting
from csm_otel.engine.pipeline import RELEASES_PER_STEP
from csm_otel.engine.source import Source
from csm_otel.intake.glances import Glances
from csm_otel.intake.nested import report_calls
from csm_otel.intake.receiver import Receiver
from csm_otel.process.speaker import Speaker
from csm_otel.process.waker import Waker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from csm_otel.spans.data import SpanData

BOTOCORE, GO, JS = Dialect.BOTOCORE, Dialect.GO, Dialect.JS
HOUR_MS = 3_600_000
BURSTS, STRANGERS, BOUND = 20, 80, 150
FAILED = {"HttpStatusCode": 500, "AwsException": "InternalError"}
GOOD = "well-behaved"
EXPECTED = sorted([f"a{number}", f"b{number}"] for number in range(BURSTS))
"""The attempts of each call of the well-behaved sender."""


class Rig:
    """An agent with its parts, and the spans that it showed."""

    def __init__(self, *, buffer_bytes: int = 2**20, also: Receiver | None = None, **settings: Any) -> None:
        self.receivers = [Receiver.bind("127.0.0.1", 0, buffer_bytes=buffer_bytes), *filter(None, [also])]
        self.address = self.receivers[0].address
        self.spans: list[SpanData] = []
        self.stderr = io.StringIO()
        self.most_pending = 0
        self.bridge = build_bridge(
            configured(**settings),
            source=Source(receivers=self.receivers),
            speaker=Speaker(self.stderr),
            show=self._show,
            faults=[],
        )
        self.tally = self.bridge.tally

    def _show(self, spans: Sequence[SpanData]) -> None:
        self.spans += spans

    def run(self, bursts: Iterator[None]) -> None:
        """Run the loop while it receives the datagrams of each step of ``bursts``, then close everything."""
        wake = Waker()
        correlator = self.bridge.agent._pipeline._correlator

        def is_over() -> bool:
            self.most_pending = max(self.most_pending, correlator.pending_events)
            return next(bursts, self) is self

        self.bridge.run(until=is_over, wake=wake)
        self.bridge.close(deadline=time.monotonic() + 60)
        for receiver in self.receivers:
            receiver.close()
        wake.close()

    def trees(self, client_id: str) -> list[list[str]]:
        """Return the request ids of each call's attempts, sorted; also the flaws of a call."""
        children: dict[int, list[str]] = {}
        for span in self.spans:
            if span.parent is not None:
                children.setdefault(span.parent.span_id, []).append(_request_id(span))
        calls = [span for span in self.spans if span.parent is None and "csm.orphan" not in span.attributes]
        return sorted(
            children.get(span.context.span_id, [])
            + [f"{name}={span.attributes[name]}" for name in _WRONG if name in span.attributes]
            for span in calls
            if span.attributes.get("csm.client_id") == client_id
        )

    def attempts(self) -> Counter[str]:
        """Return how often each attempt was exported, by request id."""
        return Counter(_request_id(span) for span in self.spans if span.name.endswith(" attempt"))


_WRONG = ("csm.attempts_missing", "csm.correlation")


def _request_id(span: SpanData) -> str:
    return str(span.attributes.get("aws.request_id"))


def now_ms() -> int:
    """Return wall time as a sender reads it."""
    return time.time_ns() // 1_000_000


def a_good_call(number: int, dialect: Dialect) -> list[bytes]:
    """Return a call whose first try fails, sent within a millisecond."""
    common: dict[str, Any] = {"ClientId": GOOD, "Timestamp": now_ms()}
    return [
        attempt(dialect, **common, AttemptLatency=0, XAmznRequestId=f"a{number}", **FAILED),
        attempt(dialect, **common, AttemptLatency=0, XAmznRequestId=f"b{number}"),
        call(
            dialect, **common, Latency=0, AttemptCount=2, **({"XAmznRequestId": f"b{number}"} if dialect is GO else {})
        ),
    ]


def an_attempt(name: str) -> bytes:
    """Return an attempt without its call."""
    return attempt(ClientId=name, Timestamp=now_ms(), AttemptLatency=0, XAmznRequestId=name)


def an_unfinished_call(name: str) -> bytes:
    """Return a call that waits for attempts that never arrive."""
    return call(JS, ClientId=name, Timestamp=now_ms(), Latency=0, AttemptCount=4)


def an_absurd_call(name: str) -> bytes:
    """Return a call with a negative length, a clock an hour ahead and a nonsense count."""
    return call(JS, ClientId=name, Timestamp=now_ms() + HOUR_MS, Latency=-HOUR_MS, AttemptCount=10**17)


_absurd: Iterator[dict[str, object]] = itertools.cycle(
    [
        {"Timestamp": 1, "AttemptLatency": 10**12},
        {"Timestamp": ABSENT, "AttemptLatency": -5},
        {"Timestamp": None, "AttemptLatency": ABSENT},
        {"Timestamp": 10**15, "AttemptLatency": None},
    ]
)


def an_absurd_attempt(name: str) -> bytes:
    """Return an attempt with a nonsense or missing length and clock."""
    return attempt(ClientId=name, XAmznRequestId=name, **next(_absurd))


def a_step(name: str) -> bytes:
    """Return an attempt of the sender itself, with its clock set an hour back or ahead."""
    off = HOUR_MS if int(name[1:]) % 2 else -HOUR_MS
    return attempt(ClientId=GOOD, Timestamp=now_ms() + off, AttemptLatency=-off, XAmznRequestId=name)


@pytest.mark.parametrize(
    "stranger",
    [
        pytest.param(an_attempt, id="attempts"),
        pytest.param(an_unfinished_call, id="unfinished-calls"),
        pytest.param(an_absurd_call, id="absurd-calls"),
        pytest.param(an_absurd_attempt, id="absurd-attempts"),
        pytest.param(a_step, id="clocks-stepped-by-an-hour"),
        pytest.param(lambda _: an_attempt("x0"), id="repeats"),
    ],
)
def test_flood_from_everywhere(stranger: Callable[[str], bytes]) -> None:
    """A flood from spoofed ports and addresses is bounded and counted, and the sender beside it loses nothing."""
    rig = Rig(pending_events=BOUND)
    sent: Counter[str] = Counter()
    calls = 0

    def bursts(sender: socket.socket) -> Iterator[None]:
        nonlocal calls
        for burst in range(BURSTS):
            good = a_good_call(burst, BOTOCORE)
            for number in range(STRANGERS):
                name = f"x{burst * STRANGERS + number}"
                payload = stranger(name)
                if b'"ApiCall"' in payload:
                    calls += 1
                else:
                    sent["x0" if b'"x0"' in payload else name] += 1
                send_from_anywhere(payload, rig.address, host=HOSTS[number % len(HOSTS)])
                if number % (STRANGERS // 3) == 0 and good:
                    sender.sendto(good.pop(0), rig.address)
            for payload in good:
                sender.sendto(payload, rig.address)
            yield

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        rig.run(bursts(sender))

    assert rig.trees(GOOD) == EXPECTED
    assert rig.most_pending <= BOUND
    assert rig.tally.datagrams_received == BURSTS * (STRANGERS + 3)
    assert rig.tally.datagrams_dropped_by_kernel in {0, None}
    assert rig.tally.calls == rig.tally.released.total() == BURSTS + calls
    assert rig.tally.attempts == 2 * BURSTS + sent.total()
    assert rig.tally.orphans.total() == sent.total()
    assert rig.tally.orphans.keys() <= {"evicted", "flushed"}
    assert rig.tally.orphans["flushed"] <= BOUND
    assert rig.attempts() == sent + Counter(f"{name}{number}" for number in range(BURSTS) for name in "ab")


@pytest.mark.parametrize("dialect", [JS, GO])
def test_flood_of_the_senders_own_group(dialect: Dialect) -> None:
    """If the port is not part of the group, calls keep their attempts though others copy the sender's.

    Each attempt is still released once. Only Go's request ids assign them; JavaScript's calls are marked ambiguous.
    """
    rig = Rig(pending_events=BOUND)
    times = 10

    def bursts(sender: socket.socket) -> Iterator[None]:
        for burst in range(BURSTS):
            failing, last, the_call = a_good_call(burst, dialect)
            sender.sendto(failing, rig.address)
            for number in range(times):
                name = f"x{burst * times + number}"
                copy = {"ClientId": GOOD, "Timestamp": now_ms(), "AttemptLatency": 0, "XAmznRequestId": name}
                send_from_anywhere(attempt(dialect, **copy), rig.address)
            sender.sendto(last, rig.address)
            sender.sendto(the_call, rig.address)
            yield

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        rig.run(bursts(sender))

    assert rig.tally.attempts_missing == 0
    assert rig.tally.released.total() == BURSTS
    assert rig.tally.orphans.total() == BURSTS * times
    assert rig.most_pending <= BOUND
    assert set(rig.attempts().values()) == {1}
    if dialect is GO:
        assert rig.trees(GOOD) == EXPECTED
    else:
        assert rig.tally.ambiguous


def test_attempts_and_calls_that_never_meet() -> None:
    """An event without its counterpart leaves as an orphan, or as an incomplete call; a duplicate leaves as well."""
    rig = Rig()

    def bursts(sender: socket.socket) -> Iterator[None]:
        for payload in (an_attempt("x"), an_attempt("x"), call(ClientId=GOOD), call(ClientId=GOOD)):
            sender.sendto(payload, rig.address)
        yield

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        rig.run(bursts(sender))

    assert rig.trees(GOOD) == [["csm.attempts_missing=1"]] * 2
    assert rig.attempts() == {"x": 2}
    assert (rig.tally.calls, rig.tally.attempts) == (2, 2)
    assert rig.tally.released == {"complete": 2}
    assert rig.tally.orphans == {"flushed": 2}
    assert rig.tally.attempts_missing == 2


@on_linux
@pytest.mark.parametrize(
    ("asked", "remedy"),
    [
        pytest.param(4096, "raise --receive-buffer-bytes, which is 4,096", id="as-asked-for"),
        pytest.param(2**20, "raise net.core.rmem_max, which capped it at 8,192 bytes", id="capped"),
    ],
)
def test_kernel_drops(asked: int, remedy: str) -> None:
    """Kernel drops are counted, and reported once with a remedy; other datagrams are processed."""
    rig = Rig(buffer_bytes=4096, receive_buffer_bytes=asked)
    many = 200

    def bursts(sender: socket.socket) -> Iterator[None]:
        for burst in range(2):
            for number in range(many):
                sender.sendto(an_attempt(f"x{burst * many + number}"), rig.address)
            yield

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        rig.run(bursts(sender))

    dropped = rig.tally.datagrams_dropped_by_kernel
    assert dropped
    assert rig.tally.datagrams_received + dropped == 2 * many
    assert rig.tally.orphans.total() == rig.tally.datagrams_received
    assert rig.stderr.getvalue() == f"csm-otel: the kernel drops datagrams, the receive buffer is full: {remedy}\n"


@on_linux
def test_kernel_drops_of_a_socket_that_was_handed_over() -> None:
    """The remedy for such a socket is its unit's, and only drops since the start are reported."""
    with bound_socket(buffer_bytes=4096) as sock:
        address = sock.getsockname()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(100):
                sender.sendto(an_attempt("before"), address)
            rig = Rig(also=Receiver.take(sock.dup(), buffer_bytes=4096))
            rig.bridge.agent._check_sockets()
            assert not rig.stderr.getvalue()
            for _ in range(100):
                sender.sendto(an_attempt("after"), address)
        rig.bridge.agent._check_sockets()
        rig.bridge.close(deadline=time.monotonic() + 60)

    assert rig.tally.datagrams_dropped_by_kernel == 100
    assert rig.tally.datagrams_dropped_before
    assert "raise ReceiveBuffer= of the socket unit; the kernel's count for it is 8,192 bytes" in rig.stderr.getvalue()


@on_linux
def test_every_datagram_is_accounted_for() -> None:
    """Every datagram sent to either socket is accounted for."""
    rig = Rig(buffer_bytes=4096, also=Receiver.bind("127.0.0.1", 0, buffer_bytes=8192))
    first, second = (receiver.address for receiver in rig.receivers)
    garbage = (b"", b"junk", b"[" * 2000, call(Type="Other"))
    sent: Counter[tuple[str, int]] = Counter()

    def bursts(sender: socket.socket) -> Iterator[None]:
        for burst in range(1, 11):
            for number in range(10 * burst):
                for address, payload in (
                    (first, an_attempt(f"x{burst}-{number}")),
                    (second, garbage[number % len(garbage)]),
                ):
                    sender.sendto(payload, address)
                    sent[address] += 1
            yield

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        rig.run(bursts(sender))

    tally = rig.tally
    for counters in tally.sockets:
        assert counters.dropped_by_kernel
        assert counters.read + counters.dropped_by_kernel == sent[counters.address]
    assert {counters.address for counters in tally.sockets} == {first, second}
    assert tally.datagrams_received == sum(counters.read for counters in tally.sockets)
    assert tally.datagrams_dropped_by_kernel == sent.total() - tally.datagrams_received
    assert tally.datagrams_received == tally.datagrams_decoded + tally.malformed.total()
    assert tally.malformed.keys() == {"empty", "not_json", "too_deep", "unknown_type"}
    assert tally.attempts == tally.orphans.total() == tally.datagrams_decoded


class Ticking:
    """A clock that moves by a step with each reading."""

    def __init__(self, step: float) -> None:
        self.now = 1000.0
        self._step = step

    def __call__(self) -> float:
        """Return the time."""
        self.now += self._step
        return self.now


def agent_of(rig: Rig, clock: Callable[[], float] = time.monotonic) -> Agent:
    """Return an agent for the sockets and the pipeline of a rig, with a separate clock."""
    speaker = Speaker(rig.stderr)
    counting = Counting(rig.tally, speaker)
    return Agent(receivers=rig.receivers, pipeline=rig.bridge.pipeline, counting=counting, speaker=speaker, clock=clock)


def test_slow_decoding_at_shutdown_loses_nothing() -> None:
    """All sockets are read before decoding starts, so that arrived datagrams are received, however long it takes."""
    clock = Ticking(0.05)  # decoding the datagrams of one socket takes far longer than all reading may
    rig = Rig(also=Receiver.bind("127.0.0.1", 0))
    agent = agent_of(rig, clock)
    many = 50  # fits the smallest buffer that a system grants
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for receiver in rig.receivers:
            for number in range(many):
                sender.sendto(an_attempt(f"x{number}"), receiver.address)
    agent.drain(deadline=clock.now + 60)

    assert rig.tally.datagrams_received == rig.tally.orphans.total() == 2 * many
    assert clock.now > 1000.0 + 2 * 2 * _MAX_READ_SECONDS
    rig.bridge.close(deadline=time.monotonic() + 60)


def test_what_waits_in_a_socket_that_was_handed_over_is_left() -> None:
    """At shutdown only the sockets that end with this process are read to their end."""
    with bound_socket() as sock:
        rig = Rig(also=Receiver.take(sock.dup()))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for receiver in rig.receivers:
                sender.sendto(b"first", receiver.address)
            rig.bridge.agent.drain(deadline=time.monotonic() + 60)
            for receiver in rig.receivers:
                sender.sendto(b"second", receiver.address)
            rig.bridge.agent.close()

        assert (rig.tally.datagrams_received, rig.tally.datagrams_late) == (1, 1)
        assert [sock.recv(1000) for _ in range(2)] == [b"first", b"second"]
        rig.bridge.close(deadline=time.monotonic() + 60)


def test_datagrams_not_decoded_in_time() -> None:
    """Half of the time for shutdown is for decoding; the rest is counted, and decoded events are released."""
    rig = Rig()
    agent = agent_of(rig, Ticking(0.1))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(100):
            sender.sendto(an_attempt(f"x{number}"), rig.address)
    agent.drain(deadline=1000.0 + 10)

    assert 0 < rig.tally.datagrams_decoded < 50  # two readings of the clock each
    assert rig.tally.datagrams_decoded + rig.tally.datagrams_undecoded == rig.tally.datagrams_received == 100
    assert rig.tally.orphans.total() == rig.tally.datagrams_decoded
    rig.bridge.close(deadline=time.monotonic() + 60)


def test_cancelling() -> None:
    """A drain that is cancelled ends with what has arrived counted: not decoded, or released and not exported."""
    rig = Rig()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(100):
            sender.sendto(an_attempt(f"x{number}"), rig.address)
    rig.bridge.cancel()
    rig.bridge.close(deadline=time.monotonic() + 3600)

    assert (rig.tally.datagrams_received, rig.tally.datagrams_undecoded) == (100, 100)


def test_cancelling_the_release() -> None:
    """Of what is pending then, one step is exported, and the rest is dropped and counted."""
    rig = Rig()
    agent = agent_of(rig)
    for number in range(RELEASES_PER_STEP + 100):
        decoded = decode(an_attempt(f"x{number}"))
        rig.bridge.pipeline.receive(decoded, peer=Peer("127.0.0.1", 1), received_ns=1, now=time.monotonic())
    agent.cancel()

    agent.drain(deadline=time.monotonic() + 3600)

    assert rig.tally.orphans.total() == RELEASES_PER_STEP + 100
    assert rig.tally.spans_dropped["shutdown"] > 0
    rig.bridge.close(deadline=time.monotonic() + 60)


def wait_for_kernel_times() -> None:
    """Wait until the kernel stamps datagrams as they arrive: it begins a moment after the first socket asks for it."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    probe = Receiver.bind("127.0.0.1", 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while time.monotonic() < deadline:
            sender.sendto(b"", probe.address)
            sent_ns = next_ns()
            if [datagram.received_ns <= sent_ns for datagram in probe.receive(1)] == [True]:
                break
    probe.close()


def next_ns() -> int:
    """Return the wall time, once it has moved on."""
    began_ns = time.time_ns()
    while time.time_ns() == began_ns:
        continue
    return time.time_ns()


def test_reports_of_a_nested_exec() -> None:
    """Their calls are counted, in the loop and in the end; they are no datagrams that should have had an event."""
    rig = Rig()

    def reports() -> Iterator[None]:
        report_calls(rig.address, 3)
        yield
        report_calls(rig.address, 4)

    rig.run(reports())

    assert (rig.tally.reports, rig.tally.calls_reported, rig.tally.datagrams_received) == (2, 7, 2)
    assert (rig.tally.calls, rig.tally.malformed.total()) == (0, 0)
    assert not rig.stderr.getvalue()


@on_linux
def test_late_datagrams() -> None:
    """Datagrams that arrived after the given time, and those that arrive until the sockets are closed, are late."""
    rig = Rig()
    agent = agent_of(rig)
    wait_for_kernel_times()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(an_attempt("in time"), rig.address)
        until_ns = time.time_ns()
        next_ns()
        sender.sendto(an_attempt("late"), rig.address)
        agent.drain(deadline=time.monotonic() + 60, until_ns=until_ns)
        sender.sendto(an_attempt("too late"), rig.address)
        rig.bridge.close(deadline=time.monotonic() + 60, until_ns=until_ns)

    assert (rig.tally.datagrams_received, rig.tally.datagrams_late) == (1, 2)
    assert sum(counters.read for counters in rig.tally.sockets) == 3


@on_linux
def test_an_origin_found_by_the_deadline_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no time left to release, the results of lookups are used all the same."""
    monkeypatch.setattr(Glances, "glance", lambda *_, **__: None)  # which would find it at once
    rig = Rig()
    agent = rig.bridge.agent
    assert agent._origins is not None
    now = time.monotonic()
    with own_socket() as peer:
        event = ApiCall(dialect=BOTOCORE, service="S3", api="ListBuckets", attempt_count=0)
        rig.bridge.pipeline.receive(Decoded([event]), peer=peer, received_ns=time.time_ns(), now=now)
        rig.bridge.pipeline.advance(now=now)
        assert rig.bridge.pipeline.origin_deadline() is not None
        lookup = agent._origins._lookup
        # Not by a poll, which would take results that are there already.
        lookup.request(*agent._origins._requests)
        agent._origins._requests.clear()
        wait_until(lambda: bool(lookup.results))
    agent._release(now - 1)

    assert rig.bridge.pipeline.origin_deadline() is None
    assert rig.tally.origins_unknown == 0
    rig.bridge.close(deadline=time.monotonic() + 60)


def test_all_that_had_arrived_is_received() -> None:
    """An empty socket has nothing older; one with more than a turn's datagrams left may have."""
    rig = Rig(buffer_bytes=2**20)
    agent = agent_of(rig)
    assert not agent.has_received_until(0)
    agent._receive()
    assert agent.has_received_until(2**63)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(_DATAGRAMS_PER_TURN + 1):
            sender.sendto(b"", rig.address)
    agent._receive()

    assert not agent.has_received_until(time.time_ns())
    agent._receive()
    assert agent.has_received_until(time.time_ns())
    rig.bridge.close(deadline=time.monotonic() + 60)


@pytest.mark.skipif(len(HOSTS) == 1, reason="only one address here")
@pytest.mark.may_skip("macOS has one loopback address")
def test_datagrams_from_elsewhere_are_not_decoded() -> None:
    """Datagrams from elsewhere are counted and reported once; they are not decoded."""
    rig = Rig()
    rig.bridge.agent._is_allowed = lambda peer: peer.host != HOSTS[1]  # tests can only send from loopback

    def bursts(_sender: socket.socket) -> Iterator[None]:
        for number, host in enumerate([*HOSTS, *HOSTS]):
            send_from_anywhere(an_attempt(f"x{number}"), rig.address, host=host)
        send_from_anywhere(b"junk", rig.address, host=HOSTS[1])
        yield

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        rig.run(bursts(sender))

    assert rig.tally.datagrams_received == 2 * len(HOSTS) + 1
    assert rig.tally.datagrams_not_allowed == 3
    assert rig.tally.datagrams_decoded == len(rig.spans) == 2 * len(HOSTS) - 2
    assert not rig.tally.malformed
    assert rig.stderr.getvalue() == "csm-otel: received datagrams from outside the networks of --allow-from\n"


def test_datagrams_that_come_one_by_one_are_received_in_bursts() -> None:
    """However fast they come, the loop takes no turn within a few milliseconds of the last one."""
    rig = Rig()
    agent, wake = agent_of(rig), Waker()
    turns: list[float] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

        def is_over() -> bool:
            turns.append(time.monotonic())
            sender.sendto(an_attempt("x"), rig.address)
            return len(turns) > 10

        agent.run(until=is_over, wake=wake)

    assert turns[-1] - turns[1] >= 8 * _TURN_SECONDS
    rig.bridge.close(deadline=time.monotonic() + 60)
    wake.close()


def test_nothing_but_datagrams_waits_for_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    """What else wakes the loop gets its turn at once."""
    monkeypatch.setattr(agent_module, "_TURN_SECONDS", FOREVER_SECONDS)
    rig = Rig()
    agent, wake = agent_of(rig), Waker()
    turns = itertools.count()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

        def is_over() -> bool:
            sender.sendto(an_attempt("x"), rig.address)
            if turn := next(turns):
                wake.wake()
            return turn == 2

        agent.run(until=is_over, wake=wake)

    assert rig.tally.datagrams_received == 2
    rig.bridge.close(deadline=time.monotonic() + 60)
    wake.close()
