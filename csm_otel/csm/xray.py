"""AWS X-Ray: its trace ids; its tracing header, as ``_X_AMZN_TRACE_ID`` holds it, to a trace context and back.

Standard library only: `exec` may need it before its command has started.
Source: AWS X-Ray Developer Guide, "Trace ID format" and "Tracing header".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from csm_otel.csm.traceparent import TraceParent

_ROOT = re.compile(r"1-([0-9a-f]{8})-([0-9a-f]{24})", re.IGNORECASE)
_PARENT = re.compile(r"[0-9a-f]{16}", re.IGNORECASE)
_TIME_BITS, _RANDOM_BITS = 32, 96  # of a trace id
_NS_PER_SECOND = 1_000_000_000
_DECISIONS = {"1": True, "0": False}
_OWN_FIELDS = ("Root", "Parent", "Sampled")


def xray_trace_id(trace_id: int, time_ns: int) -> int:
    """Return a trace id whose first 32 bits are the second of its time (epoch nanoseconds), and whose rest is kept.

    X-Ray accepts no other ids, nor those of more than 30 days ago.
    """
    second = time_ns // _NS_PER_SECOND % (1 << _TIME_BITS)
    return second << _RANDOM_BITS | trace_id % (1 << _RANDOM_BITS)


class TracingHeader(NamedTuple):
    """A parent span as X-Ray writes it."""

    trace_id: int
    span_id: int
    sampled: bool | None
    """None: the receiver is to decide (``Sampled=?``, or no such field)."""
    others: str = ""
    """The other fields, as ``Lineage=...``, which belong to AWS and are passed on."""


def parse_tracing_header(text: str) -> TracingHeader | None:
    """Return the parsed header, or None if it names no trace or no parent in it."""
    parts = [part.strip() for part in text.split(";") if part.strip()]
    fields = dict(part.partition("=")[::2] for part in parts)
    root, parent = _ROOT.fullmatch(fields.get("Root", "")), _PARENT.fullmatch(fields.get("Parent", ""))
    if root is None or parent is None:
        return None
    trace_id, span_id = int(root[1] + root[2], 16), int(parent[0], 16)
    if not trace_id or not span_id:
        return None
    others = ";".join(part for part in parts if part.partition("=")[0] not in _OWN_FIELDS)
    return TracingHeader(trace_id, span_id, _DECISIONS.get(fields.get("Sampled", "")), others)


def tracing_header(context: TraceParent, others: str = "") -> str:
    """Return the header of a span, followed by other fields."""
    digits = f"{context.trace_id:032x}"
    own = f"Root=1-{digits[:8]}-{digits[8:]};Parent={context.span_id:016x};Sampled={int(context.sampled)}"
    return f"{own};{others}" if others else own
