"""The bridge: the command's span, the counts, and the order and time of closing."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, cast

import pytest
from configured import configured
from datagrams import BASE_MS, attempt
from manual_clock import ManualClock

from csm_otel.commands.wiring import build_bridge
from csm_otel.csm.decoding import decode
from csm_otel.csm.events import Peer
from csm_otel.csm.times import NS_PER_MS
from csm_otel.csm.traceparent import TraceParent
from csm_otel.engine.source import Source
from csm_otel.files.replayed_origins import ReplayedOrigins
from csm_otel.process.speaker import Speaker
from csm_otel.spans.command import Command
from csm_otel.spans.data import SpanRole, TraceContext

if TYPE_CHECKING:
    from csm_otel.delivery.metrics import Metrics
    from csm_otel.engine.agent import Agent
    from csm_otel.engine.bridge import Bridge
    from csm_otel.engine.outlets import Outlets
    from csm_otel.intake.finder import OriginFinder
    from csm_otel.spans.data import SpanData

OWN, ABOVE = TraceParent(1, 2, True), TraceParent(1, 3, True)
COMMAND = Command(name="nightly.py", executable="python3", pid=7, exit_code=0, start_ns=5, end_ns=9)


def bridge_of(source: Source, shown: list[SpanData]) -> Bridge:
    """Return a bridge that shows its spans, without a file or a back end."""
    return build_bridge(configured(), source=source, speaker=Speaker(io.StringIO()), show=shown.extend, faults=[])


@pytest.mark.parametrize(
    ("parent", "trace_state", "expected"),
    [
        pytest.param(None, "", None, id="root"),
        pytest.param(ABOVE, "s=1", TraceContext(trace_id=1, span_id=3, trace_state="s=1", is_remote=True), id="joined"),
    ],
)
def test_the_span_of_the_command(parent: TraceParent | None, trace_state: str, expected: TraceContext | None) -> None:
    """It has the context given to the command, below the span of the environment, if any."""
    shown: list[SpanData] = []
    source = Source(context=OWN, parent=parent, trace_state=trace_state, service_name="nightly", host_name="build-7")
    bridge = bridge_of(source, shown)

    bridge.add_command(COMMAND, now=0.0)
    bridge.batcher.flush()

    (span,) = shown
    assert (span.role, span.name, span.parent) == (SpanRole.COMMAND, "nightly.py", expected)
    assert span.context == TraceContext(trace_id=1, span_id=2, trace_state=trace_state)
    assert span.resource.service_name == "nightly"
    assert dict(span.resource.attributes)["host.name"] == "build-7"


def test_without_a_command_there_is_no_such_span() -> None:
    """Datagrams received by `serve` belong to no command."""
    shown: list[SpanData] = []
    bridge = bridge_of(Source(origins=ReplayedOrigins()), shown)

    bridge.add_command(COMMAND, now=0.0)
    bridge.batcher.flush()

    assert shown == []


def test_the_snapshot() -> None:
    """It has the pending events of the pipeline beside the counts of the tally."""
    bridge = bridge_of(Source(origins=ReplayedOrigins()), [])
    bridge.pipeline.receive(decode(attempt()), peer=Peer("127.0.0.1", 1), received_ns=BASE_MS * NS_PER_MS, now=0.0)

    snapshot = bridge.snapshot()
    assert (snapshot.datagrams_received, snapshot.attempts, snapshot.events_pending) == (1, 1, 1)


class Part:
    """Replaces each part that is closed: notes its name, the call and its time, and takes some."""

    def __init__(self, name: str, noted: list[tuple[str, float]], clock: ManualClock, seconds: float) -> None:
        self._name = name
        self._noted = noted
        self._clock = clock
        self._seconds = seconds
        self.file = None
        self.nobody_seconds = 5.5

    def drain(self, *, deadline: float, until_ns: int | None) -> None:
        """Take the time."""
        assert until_ns == 17
        self._noted.append((f"{self._name} drains until", deadline))
        self._clock.advance(self._seconds)

    def close(self, *, deadline_seconds: float = 0.0, nobody_seconds: float | None = None) -> None:
        """Take the time."""
        self._noted.append((f"{self._name} closes within", deadline_seconds))
        if nobody_seconds is not None:
            self._noted.append((f"{self._name} waits for nobody", nobody_seconds))
        self._clock.advance(self._seconds if deadline_seconds else 0.0)


@pytest.mark.parametrize(
    ("has_metrics", "expected"),
    [
        pytest.param(
            False,
            [
                ("agent drains until", 1008.0),
                ("outlets closes within", 6.0),
                ("agent closes within", 0.0),
                ("finder closes within", 0.0),
            ],
            id="spans-only",
        ),
        pytest.param(
            True,
            [
                ("agent drains until", 1008.0),
                ("outlets closes within", 5.0),
                ("agent closes within", 0.0),
                ("metrics closes within", 1.0),
                ("metrics waits for nobody", 0.5),
                ("finder closes within", 0.0),
            ],
            id="with-metrics",
        ),
    ],
)
def test_the_time_to_close(expected: list[tuple[str, float]], *, has_metrics: bool) -> None:
    """All share one deadline, with a second reserved for the metrics, the last to be sent.

    Spans and metrics share the time for a back end that was never there, too.
    """
    clock, noted = ManualClock(1000.0), list[tuple[str, float]]()
    bridge = bridge_of(Source(origins=ReplayedOrigins()), [])._replace(
        agent=cast("Agent", Part("agent", noted, clock, 2.0)),
        outlets=cast("Outlets", Part("outlets", noted, clock, 5.0)),
        metrics=cast("Metrics", Part("metrics", noted, clock, 1.0)) if has_metrics else None,
        origins=cast("OriginFinder", Part("finder", noted, clock, 0.0)),
        clock=clock,
    )

    bridge.close(deadline=1008.0, until_ns=17)

    assert noted == expected


def test_a_deadline_that_has_passed() -> None:
    """No part is given a negative time."""
    clock, noted = ManualClock(1000.0), list[tuple[str, float]]()
    bridge = bridge_of(Source(origins=ReplayedOrigins()), [])._replace(
        agent=cast("Agent", Part("agent", noted, clock, 9.0)),
        outlets=cast("Outlets", Part("outlets", noted, clock, 0.0)),
        metrics=cast("Metrics", Part("metrics", noted, clock, 0.0)),
        clock=clock,
    )

    bridge.close(deadline=1008.0, until_ns=17)

    assert [seconds for _, seconds in noted] == [1008.0, 0.0, 0.0, 0.0, 5.5]
