"""W3C trace context to text and back: a ``traceparent``, alone or at the end of a client id.

Standard library only: `exec` needs it before its command has started.
Source: W3C Trace Context level 1, section 3.2.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_TRACEPARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_MALFORMED = r"[0-9A-Fa-f]{2}-[0-9A-Fa-f]{16,32}(?:-[0-9A-Fa-f-]*)?"  # compiled when needed, which is rare
_SAMPLED = 0x01

MAX_NAME_BYTES = 199
"""Room for a name in a client id with ``;`` and a traceparent: botocore raises beyond 255 characters."""


class TraceParent(NamedTuple):
    """A parent span: 128-bit trace id, 64-bit span id, and whether it is sampled."""

    trace_id: int
    span_id: int
    sampled: bool

    def __str__(self) -> str:
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{'01' if self.sampled else '00'}"


def parse_traceparent(text: str) -> TraceParent | None:
    """Return the parsed ``traceparent``, or None if it is invalid (as are version ff, zero ids and upper case)."""
    found = _TRACEPARENT.fullmatch(text)
    if not found or found["version"] == "ff" or (found["version"] == "00" and found["more"]):
        return None
    trace_id, span_id = int(found["trace"], 16), int(found["span"], 16)
    if not trace_id or not span_id:
        return None
    return TraceParent(trace_id, span_id, bool(int(found["flags"], 16) & _SAMPLED))


def why_unusable(text: str) -> str:
    """Return what is wrong with a ``traceparent`` that cannot be parsed, in words: it may be a secret instead."""
    if parse_traceparent(text.strip().lower()):
        return "it has blanks around it or capital letters in it"
    if _TRACEPARENT.fullmatch(text):
        return "its version or one of its ids is invalid"
    return "it is not of the form 00-TRACE_ID-PARENT_ID-FLAGS, of 2, 32, 16 and 2 digits"


def split_client_id(client_id: str) -> tuple[str, TraceParent | None]:
    """Return the name in a client id and the trace context after its last ``;``, if any.

    A malformed context is not part of the name either: nobody calls a service that.
    """
    head, separator, tail = client_id.rpartition(";")
    context = parse_traceparent(tail)
    if context or (separator and re.fullmatch(_MALFORMED, tail)):
        return head, context
    return client_id, None


def client_id_with(name: str, context: TraceParent) -> str:
    """Return ``name;traceparent``, of the name what `name_in_client_id` keeps."""
    return f"{name_in_client_id(name)};{context}"


def name_in_client_id(name: str) -> str:
    """Return the name with only its printable ASCII, cut so that every SDK sends it whole with a context."""
    printable = "".join(char for char in name if char.isascii() and char.isprintable() and char != ";")
    return printable[:MAX_NAME_BYTES].strip()
