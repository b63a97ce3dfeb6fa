"""A pipeline with its collaborators, from the sockets to the destinations: `Bridge`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.files.backlog import STALL_SECONDS
from csm_otel.spans.command import Command, command_span
from csm_otel.spans.data import context_of
from csm_otel.tally import Snapshot, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from csm_otel.delivery.metrics import Metrics
    from csm_otel.engine.agent import Agent, Readable, Service
    from csm_otel.engine.batches import Batcher
    from csm_otel.engine.outlets import Outlets
    from csm_otel.engine.pipeline import Pipeline
    from csm_otel.engine.source import Source
    from csm_otel.intake.finder import OriginFinder
    from csm_otel.spans.mapper import SpanMapper
    from csm_otel.tally import Tally

_LAST_METRICS_SECONDS = 1.0  # of the time to close, kept for metrics: their back end may be up when the spans' is away


class Bridge(NamedTuple):
    """A pipeline with the agent that feeds it, and what its owner closes, prints or asks."""

    source: Source
    pipeline: Pipeline
    agent: Agent
    mapper: SpanMapper
    batcher: Batcher
    outlets: Outlets
    origins: OriginFinder | None
    tally: Tally
    metrics: Metrics | None
    clock: Callable[[], float] = time.monotonic

    def run(self, *, until: Callable[[], bool], wake: Readable, services: Sequence[Service] = ()) -> None:
        """Run the agent; see `Agent.run`."""
        self.agent.run(until=until, wake=wake, services=services)

    def snapshot(self) -> Snapshot:
        """Return a summary of the current counts."""
        return snapshot_of(self.tally, events_pending=self.pipeline.events_pending)

    def add_command(self, command: Command, *, now: float) -> None:
        """Record the command of `exec`, which has ended, and export its span; ``now`` is monotonic seconds."""
        source = self.source
        if source.context is None:
            return  # the datagrams were not those of a command
        span = command_span(
            command,
            context=context_of(source.context, source.trace_state),
            parent=context_of(source.parent, source.trace_state, is_remote=True) if source.parent else None,
            resource=self.mapper.resource_of(source.service_name, local=True),
        )
        if self.outlets.recorder is not None:
            self.outlets.recorder.command(command, now=now)
        self.batcher.add([span], now=now)

    def cancel(self) -> None:
        """Make a running or a later `close` end at once, with the rest counted. May be called from a signal handler."""
        self.agent.cancel()
        self.outlets.cancel()
        if self.metrics is not None:
            self.metrics.cancel()

    def close(self, *, deadline: float, until_ns: int | None = None) -> None:
        """Receive what has arrived, deliver everything and close the sockets, until ``deadline``, monotonic seconds.

        ``until_ns``: see `Agent.drain`.
        """
        if self.outlets.file is not None:
            self.outlets.file.block_when_full(until=deadline, stall_seconds=STALL_SECONDS)
        self.agent.drain(deadline=deadline, until_ns=until_ns)
        began = self.clock()
        left_seconds = max(0.0, deadline - began)
        kept_seconds = min(left_seconds / 4, _LAST_METRICS_SECONDS) if self.metrics is not None else 0.0
        self.outlets.close(deadline_seconds=left_seconds - kept_seconds)
        self.agent.close()
        if self.metrics is not None:  # last, so that all counts are in them
            now = self.clock()
            self.metrics.close(
                deadline_seconds=max(0.0, deadline - now),
                nobody_seconds=max(0.0, began + self.outlets.nobody_seconds - now),
            )
        if self.origins is not None:
            self.origins.close()
