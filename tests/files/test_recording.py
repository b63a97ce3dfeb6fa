"""A recording's lines: they are read back unchanged, nothing else is read, and no secret is in them."""

from __future__ import annotations

import json

import msgspec
import pytest
from conformance.recordings import EVERYTHING, recording
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import any_payload, holds_piece, leaking

from csm_otel.csm.decoding import decode
from csm_otel.csm.events import Origin, Peer
from csm_otel.errors import MalformedDatagramError, RecordingError
from csm_otel.files.recording import (
    FORMAT,
    MAX_LINE_BYTES,
    Heading,
    Line,
    RecordedCommand,
    RecordedDatagram,
    RecordedDrops,
    RecordedEnd,
    RecordedOrigin,
    decode_line,
    encode_line,
)
from csm_otel.spans.command import Command

WALL_NS = 1_795_458_108_269_000_000
ORIGIN = Origin(pid=7, start_ticks=9, start_ns=WALL_NS, name="etl.py", executable="python3.11", container_id="c" * 64)
COMMAND = Command(name="etl.py", executable="python3", pid=7, exit_code=0, start_ns=WALL_NS, end_ns=WALL_NS + 1)
HEADING = Heading(format=FORMAT, seed=1, host_name="build-7")


def recorded(payload: bytes) -> RecordedDatagram:
    """Return the recorded form of a payload."""
    try:
        decoded = decode(payload)
    except MalformedDatagramError as error:
        return _line((), (error.reason,))
    return _line(tuple(decoded.events), decoded.rejected, decoded.other_versions)


def _line(*held: object) -> RecordedDatagram:
    fields = dict(zip(("events", "rejected", "other_versions"), held, strict=False))
    return RecordedDatagram(at_ns=1, received_ns=WALL_NS, host="127.0.0.1", port=40_000, **fields)  # type: ignore[arg-type]


@given(any_payload)
def test_any_payload_is_read_back(payload: bytes) -> None:
    """A datagram's line, whatever its payload, is read back unchanged and fits its bound."""
    line = recorded(payload)
    text = encode_line(line)

    assert decode_line(text) == line
    assert text.count(b"\n") == 1
    assert len(text) <= MAX_LINE_BYTES


@pytest.mark.parametrize("name", EVERYTHING)
def test_sdk_datagrams_are_read_back(name: str) -> None:
    """Every captured datagram comes through its line unchanged."""
    lines = [recorded(datagram.payload) for datagram in recording(name)]

    assert [decode_line(encode_line(line)) for line in lines] == lines


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b'{"Type":"ApiCall","Api":"A"}\n' * 2259, id="most-events"),
        pytest.param(b'{"Type":"ApiCall","Api":"A","UserAgent":"' + b"\xff" * 65_000 + b'"}', id="invalid-utf-8"),
        pytest.param(b'{"Type":"ApiCall","Api":"A","ClientId":"' + b'\\"' * 32_000 + b'"}', id="quotes"),
        pytest.param(
            b'{"Type":"ApiCall","Api":"' + b"A" * 2000 + b'","Service":"' + b"S" * 2000 + b'"}' * 30, id="long-names"
        ),
    ],
)
def test_the_largest_datagrams_fit_a_line(payload: bytes) -> None:
    """No datagram that UDP can carry makes a line longer than is read."""
    assert len(encode_line(recorded(payload[:65_507]))) <= MAX_LINE_BYTES


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(HEADING, id="heading"),
        pytest.param(
            Heading(format=FORMAT, seed=0, host_name="", service_name="s", context="c", parent="p", trace_state="t"),
            id="heading-of-exec",
        ),
        pytest.param(RecordedOrigin(at_ns=1, host="::1", port=9, generation=3, origin=ORIGIN), id="origin"),
        pytest.param(RecordedEnd(at_ns=1, origin=ORIGIN, noticed_ns=WALL_NS, is_exact=True), id="end"),
        pytest.param(RecordedDrops(at_ns=1, dropped=4), id="drops"),
        pytest.param(RecordedCommand(at_ns=1, command=COMMAND), id="command"),
    ],
)
def test_every_kind_of_line_is_read_back(line: Line) -> None:
    """Each kind of line is read back unchanged."""
    assert decode_line(encode_line(line)) == line


def test_a_name_that_is_not_utf8_is_readable() -> None:
    """Names and arguments may be any bytes; a recording has what UTF-8 can hold of them, as spans have."""
    odd = "caf\udce9"
    command = msgspec.structs.replace(COMMAND, name=odd, arguments=(odd, "--all"))

    heading = decode_line(encode_line(Heading(format=FORMAT, seed=1, host_name="host", service_name=odd)))
    line = decode_line(encode_line(RecordedCommand(at_ns=1, command=command)))

    assert isinstance(heading, Heading)
    assert heading.service_name == "caf?"
    assert isinstance(line, RecordedCommand)
    assert line.command == msgspec.structs.replace(COMMAND, name="caf?", arguments=("caf?", "--all"))


def test_a_complete_peer() -> None:
    """The peer of a line has its host, port and generation."""
    assert RecordedOrigin(at_ns=1, host="::1", port=9, generation=3, origin=ORIGIN).peer == Peer("::1", 9, 3)
    assert _line().peer == Peer("127.0.0.1", 40_000)


@given(leaking())
def test_no_secret_is_recorded(leak: tuple[bytes, list[str]]) -> None:
    """No key and no token of a datagram, nor a 16-character piece of one, is in its line."""
    payload, secrets = leak

    assert not holds_piece(encode_line(recorded(payload)).decode(), secrets)


def _changed(**changes: object) -> bytes:
    fields = {"line": "datagram", "at_ns": 1, "received_ns": WALL_NS, "host": "127.0.0.1", "port": 9, **changes}
    return json.dumps(fields).encode()


def _event(**changes: object) -> bytes:
    return _changed(events=[{"type": "ApiCall", "dialect": "go", "service": "S3", "api": "A", **changes}])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe", id="no-text"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"Type":"ApiCall","Service":"S3"}', id="datagram"),
        pytest.param(b'{"resourceSpans":[]}', id="otlp"),
        pytest.param(encode_line(HEADING)[:-9], id="truncated"),
        pytest.param(_changed(line="packet"), id="kind"),
        pytest.param(_changed(at_ns=-1), id="before-the-start"),
        pytest.param(_changed(at_ns=1.5), id="fraction"),
        pytest.param(_changed(received_ns=0), id="epoch"),
        pytest.param(_changed(received_ns=2**63), id="far-future"),
        pytest.param(_changed(port=65_536), id="port"),
        pytest.param(_changed(rejected=["\x1b[31mnot_json"]), id="reason"),
        pytest.param(_changed(rejected=["not_json\n"]), id="reason-and-a-line"),
        pytest.param(_changed(AccessKey="AKIAIOSFODNN7EXAMPLE"), id="unknown-field"),
        pytest.param(_event(latency_ms=-1), id="latency"),
        pytest.param(_event(timestamp_ms=10**18), id="timestamp"),
        pytest.param(_event(status=99), id="status"),
        pytest.param(_event(attempt_count=10**18), id="count"),
        pytest.param(_event(dialect="cobol"), id="dialect"),
        pytest.param(_event(SessionToken="x"), id="unknown-field-of-an-event"),
    ],
)
def test_invalid_lines(text: bytes) -> None:
    """Anything that no recorder wrote raises the one error, whose text quotes nothing of the line."""
    with pytest.raises(RecordingError) as caught:
        decode_line(text)
    assert str(caught.value) == "not a line of a csm-otel recording"
    assert caught.value.__suppress_context__


def test_the_changed_lines_are_lines_before_the_change() -> None:
    """Each line rejected above is rejected for its change."""
    assert isinstance(decode_line(_changed()), RecordedDatagram)
    assert isinstance(decode_line(_changed(rejected=["not_json"])), RecordedDatagram)
    assert isinstance(decode_line(_event(latency_ms=1)), RecordedDatagram)


def test_another_format_is_named() -> None:
    """The error for a later format says which one this program reads."""
    text = encode_line(Heading(format=FORMAT + 1, seed=1, host_name="h"))
    with pytest.raises(RecordingError, match=f"format {FORMAT + 1}; this csm-otel reads format {FORMAT}"):
        decode_line(text)


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.recursive(st.integers() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
@example(b'{"line":"datagram","at_ns":NaN}')
def test_anything_else_is_one_error(text: bytes) -> None:
    """Reading raises that error or nothing."""
    try:
        decode_line(text)
    except RecordingError:
        return
