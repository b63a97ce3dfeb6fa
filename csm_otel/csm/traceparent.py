"""W3C trace context as text: the ``traceparent`` header, and the one that rides in a client id.

Standard library only: `exec` uses it before anything else is loaded.
Source: W3C Trace Context level 1, section 3.2.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_TRACEPARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_LOOKS_LIKE_ONE = re.compile(r"[0-9A-Fa-f]{2}-[0-9A-Fa-f]{16,32}(?:-[0-9A-Fa-f-]*)?")
_SAMPLED = 0x01

MAX_NAME_BYTES = 199
"""What a client id of 255 characters (botocore raises beyond it) has left for a name beside ``;`` and a traceparent."""


class TraceParent(NamedTuple):
    """A position in a trace: 128-bit trace id, 64-bit span id, whether the trace is recorded."""

    trace_id: int
    span_id: int
    sampled: bool

    def __str__(self) -> str:
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{'01' if self.sampled else '00'}"


def parse_traceparent(text: str) -> TraceParent | None:
    """Return what a ``traceparent`` says, or None where it is invalid (version ff, zero ids and upper case are)."""
    found = _TRACEPARENT.fullmatch(text)
    if not found or found["version"] == "ff" or (found["version"] == "00" and found["more"]):
        return None
    trace_id, span_id = int(found["trace"], 16), int(found["span"], 16)
    if not trace_id or not span_id:
        return None
    return TraceParent(trace_id, span_id, bool(int(found["flags"], 16) & _SAMPLED))


def split_client_id(client_id: str) -> tuple[str, TraceParent | None]:
    """Return a client id's name and the trace context behind its last ``;``.

    What looks like a context but is none is left out of the name all the same: it is not what anybody calls a service.
    """
    head, separator, tail = client_id.rpartition(";")
    context = parse_traceparent(tail)
    if context or (separator and _LOOKS_LIKE_ONE.fullmatch(tail)):
        return head, context
    return client_id, None


def client_id_with(name: str, context: TraceParent) -> str:
    """Return ``name;traceparent``, the name cut to printable ASCII that fits in what every SDK sends whole."""
    kept = "".join(letter for letter in name if letter.isascii() and letter.isprintable() and letter != ";")
    return f"{kept[:MAX_NAME_BYTES].strip()};{context}"
