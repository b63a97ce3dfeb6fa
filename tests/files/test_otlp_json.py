"""OTLP JSON lines."""

from __future__ import annotations

import base64
import copy
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from delivery.samples import ATTEMPT, CALL, CALL_ID, START_NS, TRACE_ID, spans
from google.protobuf.json_format import MessageToDict, ParseDict
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from opentelemetry.sdk.trace import SpanLimits
from otlp_backend import DEADLINE_SECONDS

from csm_otel.delivery.encoding import encode
from csm_otel.errors import SettingsError
from csm_otel.files.otlp_json import OtlpJsonFile, otlp_json

_REQUEST = encode([CALL, ATTEMPT], limits=SpanLimits())
# Several times what a pipe holds, as a line.
_LONG_REQUEST = encode([CALL, ATTEMPT] * 200, limits=SpanLimits())


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _spans(request: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        span
        for resource_spans in request["resourceSpans"]
        for scope_spans in resource_spans["scopeSpans"]
        for span in scope_spans["spans"]
    ]


def test_a_span_has_the_specified_form(tmp_path: Path) -> None:
    """Keys are lowerCamelCase, ids hex, 64-bit numbers strings, and enums numbers."""
    path = tmp_path / "out.jsonl"
    file = OtlpJsonFile(path)
    assert file.write(_REQUEST)
    file.close()
    (request,) = _lines(path)
    call, attempt = _spans(request)
    assert (f"{TRACE_ID:032x}", f"{CALL_ID:016x}", 3) == (call["traceId"], call["spanId"], call["kind"])
    assert (f"{CALL_ID:016x}", str(START_NS)) == (attempt["parentSpanId"], attempt["startTimeUnixNano"])
    assert call["status"] == {"code": 2, "message": "The provided token has expired."}
    assert {"key": "http.response.status_code", "value": {"intValue": "400"}} in call["attributes"]
    assert "parentSpanId" not in call


def test_ids_of_links_are_hex_too() -> None:
    """A link has ids as well; bytes that are no ids stay base64."""
    span = Span(
        trace_id=b"\x01" * 16, span_id=b"\x02" * 8, links=[Span.Link(trace_id=b"\xaa" * 16, span_id=b"\xbb" * 8)]
    )
    span.attributes.add(key="raw").value.bytes_value = b"\xff"
    request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[span])])])
    (worded,) = _spans(otlp_json(request.SerializeToString()))
    assert worded["links"] == [{"traceId": "aa" * 16, "spanId": "bb" * 8}]
    assert worded["attributes"] == [{"key": "raw", "value": {"bytesValue": "/w=="}}]


@settings(max_examples=50, deadline=None)
@given(st.lists(spans, max_size=3))
def test_reading_a_line_gives_the_request_back(given_spans: list[Any]) -> None:
    """With the ids turned back into base64, protobuf's own JSON reader finds the same message."""
    encoded = encode(given_spans, limits=SpanLimits())
    worded = copy.deepcopy(json.loads(json.dumps(otlp_json(encoded))))
    for span in _spans(worded) if worded else []:
        for key in ("traceId", "spanId", "parentSpanId"):
            if key in span:
                span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
    assert ExportTraceServiceRequest.FromString(encoded) == ParseDict(worded, ExportTraceServiceRequest())


@settings(max_examples=100, deadline=None)
@given(st.lists(spans, max_size=3))
def test_it_equals_the_json_of_protobuf(given_spans: list[Any]) -> None:
    """Except for the ids it is the JSON of protobuf itself, key by key."""
    encoded = encode(given_spans, limits=SpanLimits(max_span_attributes=2, max_events=1))
    expected = MessageToDict(ExportTraceServiceRequest.FromString(encoded), use_integers_for_enums=True)
    for span in _spans(expected) if expected else []:
        for key in ("traceId", "spanId", "parentSpanId"):
            if key in span:
                span[key] = base64.b64decode(span[key]).hex()
    assert expected == otlp_json(encoded)


def test_a_new_file_is_its_owners_only(tmp_path: Path) -> None:
    """Traces show what a program does: mode 0600."""
    path = tmp_path / "out.jsonl"
    OtlpJsonFile(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_requests_are_appended_and_there_at_once(tmp_path: Path) -> None:
    """The file's content stays; each write is readable as soon as it returns."""
    path = tmp_path / "out.jsonl"
    path.write_text('{"before":1}\n')
    file = OtlpJsonFile(path)
    for count in (2, 3):
        assert file.write(_REQUEST)
        assert len(_lines(path)) == count
    file.close()
    assert _lines(path)[0] == {"before": 1}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        pytest.param("no/such/folder.jsonl", "no such file or directory", id="no-folder"),
        pytest.param("", "is a directory", id="folder"),
    ],
)
def test_a_file_that_cannot_be_opened_is_a_settings_error(tmp_path: Path, name: str, why: str) -> None:
    """One line with the flag, the path and the reason."""
    with pytest.raises(SettingsError) as caught:
        OtlpJsonFile(tmp_path / name)
    assert f"--file: {tmp_path / name}: {why}" == str(caught.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_reported_once() -> None:
    """Failing writes are False, never an exception, with one line while they keep failing."""
    logged: list[str] = []
    file = OtlpJsonFile(Path("/dev/full"), say=logged.append)
    assert [file.write(_REQUEST), file.write(_REQUEST)] == [False, False]
    file.close()
    assert logged == ["cannot write to /dev/full: no space left on device"]


_FILLS_UP = """
import resource, sys
from pathlib import Path
from csm_otel.files.otlp_json import OtlpJsonFile
request = bytes.fromhex(sys.argv[2])
logged = []
file = OtlpJsonFile(Path(sys.argv[1]), say=logged.append)
def limited_to(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
assert file.write(request)
size = Path(sys.argv[1]).stat().st_size
limited_to(size + 10)
assert not file.write(request)
assert not file.write(request)
limited_to(resource.RLIM_INFINITY)
assert file.write(request)
limited_to(size)
assert not file.write(request)
print(len(logged))
"""


def test_after_half_a_line_the_next_one_is_whole(tmp_path: Path) -> None:
    """After a full disk all lines but the torn one can be read; each such time is reported."""
    path = tmp_path / "out.jsonl"
    ended = subprocess.run(
        [sys.executable, "-c", _FILLS_UP, str(path), _REQUEST.hex()],
        check=True,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    first, torn, last = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(first) == json.loads(last) == otlp_json(_REQUEST)
    assert first.startswith(torn)
    assert ended.stdout == "2\n"


# Named pipes.


def _pipe_with_reader(path: Path) -> int:
    """Create a named pipe and return a descriptor that reads it, without blocking for now."""
    os.mkfifo(path)
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK)


def _read_to_the_end(reader: int) -> bytes:
    """Read in small pieces, so that the writer is faster and finds the pipe full."""
    os.set_blocking(reader, True)
    with open(reader, "rb", buffering=0) as stream:
        return b"".join(iter(lambda: stream.read(256), b""))


_OPENS = """
import sys
from pathlib import Path
from csm_otel.errors import SettingsError
from csm_otel.files.otlp_json import OtlpJsonFile
try:
    OtlpJsonFile(Path(sys.argv[1]))
except SettingsError as error:
    print(*error.faults, sep="\\n")
"""


def test_a_pipe_without_a_reader_is_a_settings_error(tmp_path: Path) -> None:
    """Reported in one line, where a shell would wait for a reader; in a separate process, which may be killed."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    opens = [sys.executable, "-c", _OPENS, str(path)]
    ended = subprocess.run(opens, check=True, capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert ended.stdout == f"--file: {path}: nobody reads this pipe\n"


def test_a_pipe_accepts_lines_longer_than_its_capacity(tmp_path: Path) -> None:
    """A reader that keeps up gets every line whole; many of them, because by luck it may leave room for a long one."""
    reader = _pipe_with_reader(tmp_path / "pipe")
    file = OtlpJsonFile(tmp_path / "pipe")
    with ThreadPoolExecutor() as threads, closing(file):
        received = threads.submit(_read_to_the_end, reader)
        assert [file.write(_LONG_REQUEST) for _ in range(20)] == [True] * 20
    lines = received.result(DEADLINE_SECONDS).splitlines()
    assert [json.loads(line) for line in lines] == [otlp_json(_LONG_REQUEST)] * 20


def test_a_reader_that_stalls_loses_lines(tmp_path: Path) -> None:
    """Writes fail while nothing is read, reported once; when it is read again the next line is whole."""
    logged: list[str] = []
    path = tmp_path / "pipe"
    reader = _pipe_with_reader(path)
    file = OtlpJsonFile(path, say=logged.append)
    assert file.write(_REQUEST)
    assert [file.write(_LONG_REQUEST), file.write(_LONG_REQUEST), file.write(_REQUEST)] == [False] * 3
    assert logged == [f"cannot write to {path}: its reader has stalled"]
    held = os.read(reader, 2**20)
    with ThreadPoolExecutor() as threads, closing(file):
        received = threads.submit(_read_to_the_end, reader)
        assert file.write(_LONG_REQUEST)
    held += received.result(DEADLINE_SECONDS)
    first, torn, last = held.splitlines()
    assert json.loads(first) == otlp_json(_REQUEST)
    assert last.startswith(torn)
    assert json.loads(last) == otlp_json(_LONG_REQUEST)
