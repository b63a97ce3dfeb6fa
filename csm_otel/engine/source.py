"""Where datagrams come from: `Source`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csm_otel.csm.traceparent import TraceParent
    from csm_otel.files.replayed_origins import ReplayedOrigins
    from csm_otel.intake.receiver import Receiver
    from csm_otel.spans.ids import IdGenerator


class Source(NamedTuple):
    """Where datagrams come from, and what is known of all who send them."""

    receivers: Sequence[Receiver] = ()
    ids: IdGenerator = RandomIdGenerator()
    host_name: str = ""
    """Of the senders' host; empty: this one's."""
    origins: ReplayedOrigins | None = None
    """Who was found behind each peer, where that is known from a recording."""
    service_name: str = ""
    context: TraceParent | None = None
    """Of `exec`: the command's own span, which its calls are put below; without one it is looked for who sends."""
    parent: TraceParent | None = None
    """Of `exec`: the span that the command's own is put below."""
    trace_state: str = ""
