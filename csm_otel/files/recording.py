"""A recording, line by line: what arrived, when and from where, as JSON without a secret in it.

The first line is a `Heading`. Then there is a `RecordedDatagram` for each datagram, with the events decoded from
it (so that access key and session token are gone, and messages redacted), a `RecordedOrigin` when the process behind
a peer became known, a `RecordedEnd` when such a process had ended, a `RecordedDeparture` when peers were known to send
no more, a `RecordedDrops` when the kernel had dropped some, and a `RecordedCommand` where `exec` ran one. A
recording appended to a file begins with another heading.

``at_ns`` is nanoseconds since the heading, by a clock that never steps; ``received_ns`` is wall time.
"""

from __future__ import annotations

import json
from typing import Annotated

import msgspec
from msgspec import Meta

from csm_otel.csm.events import Event, Origin, Peer
from csm_otel.csm.times import MAX_WALL_NS
from csm_otel.errors import RecordingError
from csm_otel.spans.command import Command

FORMAT = 1
MAX_LINE_BYTES = 1_048_576
"""More than the events of the largest datagram take: some 900 in 65,535 bytes, each grown by its fields' names."""

SEED_BITS = 53  # every JSON reader keeps that many exactly
# A recording is untrusted; times after 1973 leave room for a day's latency before them.
_Wall = Annotated[int, Meta(ge=10**17, le=MAX_WALL_NS)]
_Elapsed = Annotated[int, Meta(ge=0, le=2**62)]
_Port = Annotated[int, Meta(ge=0, le=65_535)]
_Count = Annotated[int, Meta(ge=0, le=2**31)]
_Reason = Annotated[str, Meta(pattern=r"^[a-z_]{1,20}\Z")]  # it is shown, and a recording is untrusted


class Heading(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="line",
    tag="recording",
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """The first line of a recording: what all its spans have in common."""

    format: int
    seed: Annotated[int, Meta(ge=0, lt=2**SEED_BITS)]
    """Of the ids of a replay."""
    host_name: str
    service_name: str = ""
    """Of `exec`: the application's name."""
    context: str = ""
    """Of `exec`: the traceparent of the command's own span."""
    parent: str = ""
    """Of `exec`: the traceparent of the parent of the command's span."""
    trace_state: str = ""


class _Line(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="line", forbid_unknown_fields=True, omit_defaults=True
):
    at_ns: _Elapsed


class RecordedDatagram(_Line, frozen=True, kw_only=True, tag="datagram"):
    """What one datagram held."""

    received_ns: _Wall
    host: str
    port: _Port
    generation: _Count = msgspec.field(default=0, name="era")
    events: tuple[Event, ...] = ()
    rejected: tuple[_Reason, ...] = ()
    """The reason for each object in it that is not an event."""
    other_versions: _Count = 0

    @property
    def peer(self) -> Peer:
        """The sender."""
        return Peer(self.host, self.port, self.generation)


class RecordedOrigin(_Line, frozen=True, kw_only=True, tag="origin"):
    """A process was found behind a peer."""

    host: str
    port: _Port
    generation: _Count = msgspec.field(default=0, name="era")
    origin: Origin

    @property
    def peer(self) -> Peer:
        """The peer that the process was found behind."""
        return Peer(self.host, self.port, self.generation)


class RecordedEnd(_Line, frozen=True, kw_only=True, tag="end"):
    """A process had ended."""

    origin: Origin
    noticed_ns: _Wall
    is_exact: bool


class RecordedPeer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A peer."""

    host: str
    port: _Port
    generation: _Count = msgspec.field(name="era")


class RecordedDeparture(_Line, frozen=True, kw_only=True, tag="departure"):
    """The processes behind peers had ended, and their sockets were closed."""

    peers: tuple[RecordedPeer, ...]


class RecordedDrops(_Line, frozen=True, kw_only=True, tag="drops"):
    """The kernel's count of datagrams that it dropped had changed."""

    dropped: _Count


class RecordedCommand(_Line, frozen=True, kw_only=True, tag="command"):
    """The command of `exec` had ended."""

    command: Command


Line = Heading | RecordedDatagram | RecordedOrigin | RecordedEnd | RecordedDeparture | RecordedDrops | RecordedCommand

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


def encode_line(line: Line) -> bytes:
    """Return a line as JSON, with its end; what UTF-8 cannot encode is "?" in it, as it is in spans."""
    try:
        return _encoder.encode(line) + b"\n"
    except UnicodeEncodeError:  # file names and variables that are not UTF-8 reach Python as lone surrogates
        return json.dumps(msgspec.to_builtins(line), ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def decode_line(text: bytes) -> Line:
    """Decode a line of a recording.

    Raises:
        RecordingError: it is not a line of a recording, or of another format.
    """
    try:
        line = _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RecordingError("not a line of a csm-otel recording") from None  # the cause would quote the recording
    if isinstance(line, Heading) and line.format != FORMAT:
        raise RecordingError(f"recorded in format {line.format}; this csm-otel reads format {FORMAT}")
    return line
