"""A pipeline with all that belongs to it, from its sockets to its back end: `Bridge`."""

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

_LAST_METRICS_SECONDS = 1.0  # of the deadline, kept for them where the spans' back end is away and theirs is not


class Bridge(NamedTuple):
    """A pipeline with the agent that feeds it, and what its owner must close, print or ask."""

    source: Source
    pipeline: Pipeline
    agent: Agent
    mapper: SpanMapper
    batcher: Batcher
    outlets: Outlets
    origins: OriginFinder | None
    tally: Tally
    metrics: Metrics | None

    def run(self, *, until: Callable[[], bool], wake: Readable, services: Sequence[Service] = ()) -> None:
        """Run the agent; see `Agent.run`."""
        self.agent.run(until=until, wake=wake, services=services)

    def snapshot(self) -> Snapshot:
        """Return the counts as they are now."""
        return snapshot_of(self.tally, events_pending=self.pipeline.events_pending)

    def add_command(self, command: Command, *, now: float) -> None:
        """Keep what the command of `exec` came to, and export its span; ``now`` is monotonic seconds."""
        source = self.source
        if source.context is None:
            return  # what was received is no command's
        span = command_span(
            command,
            context=context_of(source.context, source.trace_state),
            parent=context_of(source.parent, source.trace_state, is_remote=True) if source.parent else None,
            resource=self.mapper.resource_of(source.service_name, local=True),
        )
        if self.outlets.recorder is not None:
            self.outlets.recorder.command(command, now=now)
        self.batcher.add([span], now=now)

    def close(self, *, deadline: float, until_ns: int | None = None) -> None:
        """Take what has arrived, send everything off, wait for its delivery, until ``deadline``, and close the sockets.

        That is in monotonic seconds. ``until_ns``: see `Agent.drain`.
        """
        if self.outlets.file is not None:
            self.outlets.file.block_when_full(until=deadline, stall_seconds=STALL_SECONDS)
        self.agent.drain(deadline=deadline, until_ns=until_ns)
        left_seconds = max(0.0, deadline - time.monotonic())
        kept_seconds = min(left_seconds / 4, _LAST_METRICS_SECONDS) if self.metrics is not None else 0.0
        self.outlets.close(deadline_seconds=left_seconds - kept_seconds)
        self.agent.close()
        if self.metrics is not None:  # last, so that it has all that was counted
            self.metrics.close(deadline_seconds=max(0.0, deadline - time.monotonic()))
        if self.origins is not None:
            self.origins.close()
