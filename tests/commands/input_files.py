"""The files that `csm-otel report` reads, with calls made for tests."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
from datagrams import attempt, call
from traced import attempt_of, traced

from csm_otel.csm.decoding import decode
from csm_otel.delivery.encoding import encode
from csm_otel.delivery.limits import SpanLimits
from csm_otel.delivery.spool import Spool
from csm_otel.files.otlp_json import otlp_json
from csm_otel.files.recording import FORMAT, Heading, Line, RecordedDatagram, RecordedDrops, encode_line

if TYPE_CHECKING:
    from pathlib import Path

    from csm_otel.spans.data import SpanData

WALL_NS = 1_795_458_108_269_000_000


def recording_of(calls: int, *, dropped: int = 0, malformed: int = 0) -> bytes:
    """Return a recording."""
    events = tuple(decode(attempt()).events + decode(call()).events)
    datagrams = [
        RecordedDatagram(at_ns=n, received_ns=WALL_NS, host="127.0.0.1", port=40_000, events=events)
        for n in range(calls)
    ]
    bad = RecordedDatagram(at_ns=calls, received_ns=WALL_NS, host="127.0.0.1", port=9, rejected=("not_json",))
    lines: list[Line] = [Heading(format=FORMAT, seed=1, host_name="h"), *datagrams, *[bad] * malformed]
    if dropped:
        lines.append(RecordedDrops(at_ns=calls, dropped=dropped))
    return b"".join(map(encode_line, lines))


def requests_of(calls: int, *, scope: str = "csm_otel") -> list[bytes]:
    """Return a request for each call, encoded."""
    requests = []
    for number in range(calls):
        span = traced("S3.GetObject", 10 * number, 10 * number + 5)
        request = encode([span, attempt_of(span, 10 * number, 10 * number + 4)], limits=SpanLimits())
        requests.append(request.replace(b"csm_otel", scope.encode()))
    return requests


def line_of(*spans: SpanData) -> bytes:
    """Return spans as a line in OTLP/JSON."""
    return msgspec.json.encode(otlp_json(encode(spans, limits=SpanLimits()))) + b"\n"


def lines_of(calls: int, *, scope: str = "csm_otel") -> bytes:
    """Return the lines of a file in OTLP/JSON, one for each call; a ``scope`` of others has as many characters."""
    return b"".join(msgspec.json.encode(otlp_json(one)) + b"\n" for one in requests_of(calls, scope=scope))


def write_spool(folder: Path, calls: int) -> None:
    """Leave calls in a spool."""
    write_requests(folder, requests_of(calls))


def write_requests(folder: Path, requests: list[bytes]) -> None:
    """Leave requests in a spool."""
    with closing(Spool(folder, limit_bytes=10_000_000)) as spool:
        spool.put([(request, 2) for request in requests])
