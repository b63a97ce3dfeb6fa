"""The sockets of a run, and what is known about their senders: `Source`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from csm_otel.spans.ids import IdGenerator, RandomIds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csm_otel.csm.traceparent import TraceParent
    from csm_otel.files.replayed_origins import ReplayedOrigins
    from csm_otel.intake.receiver import Receiver


class Source(NamedTuple):
    """The sockets, and the known senders. Nothing is received without sockets: a recording is replayed."""

    receivers: Sequence[Receiver] = ()
    ids: IdGenerator = RandomIds()
    host_name: str = ""
    """The senders' host; empty for this one."""
    origins: ReplayedOrigins | None = None
    """The process behind each peer, as a recording has it."""
    service_name: str = ""
    context: TraceParent | None = None
    """With `exec` the command's span, the parent of its calls; without it the sending processes are looked up."""
    parent: TraceParent | None = None
    """With `exec` the parent of the command's span."""
    trace_state: str = ""
