"""A back end in a process of its own that accepts everything: ``python -m benchmarks.e2e.sink http|grpc``.

It prints a line with its port, and answers a line on stdin with a line of what has arrived so far (`Arrived`). Requests
are kept as bytes while they arrive and looked into when it is asked, so that it takes little of the processors.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import sys
import threading
import time
from concurrent import futures
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_LOGS = b"POST /v1/logs"
_GZIP = b"\x1f\x8b"
_CHUNK_BYTES = 1 << 20
_LARGEST_BYTES = 64 * 1024 * 1024
_NS_PER_MS = 1_000_000


class Arrived(NamedTuple):
    """What has arrived since the start."""

    counts: list[tuple[float, int]]
    """The monotonic second of each request, and its number of spans, or log records."""
    behind_ms: list[float]
    """How long after its end each span of a call arrived."""

    @property
    def spans(self) -> int:
        """How many spans arrived."""
        return sum(count for _, count in self.counts)


class _Sink:
    def __init__(self) -> None:
        self._kept: list[tuple[float, int, bytes, bool]] = []

    def keep(self, body: bytes, *, has_logs: bool = False) -> None:
        self._kept.append((time.monotonic(), time.time_ns(), body, has_logs))

    def arrived(self) -> Arrived:
        counts, behind_ms = [], []
        for at, wall_ns, body, has_logs in self._kept.copy():
            content = gzip.decompress(body) if body.startswith(_GZIP) else body
            spans = [] if has_logs else list(_spans(content))
            counts.append((at, _count_logs(content) if has_logs else len(spans)))
            behind_ms += [(wall_ns - span.end_time_unix_nano) / _NS_PER_MS for span in spans if not span.parent_span_id]
        return Arrived(counts, behind_ms)


def main() -> None:
    """Serve until stdin ends."""
    sink = _Sink()
    port, server = (_serve_http if sys.argv[1] == "http" else _serve_grpc)(sink)
    print(json.dumps({"port": port}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(sink.arrived()._asdict()), flush=True)
    del server  # it serves as long as it is referred to


def _serve_http(sink: _Sink) -> tuple[int, object]:
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve_connection, args=(connection, sink), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(listener.getsockname()[1]), listener


def _serve_connection(connection: socket.socket, sink: _Sink) -> None:
    got = bytearray()
    with connection, contextlib.suppress(ConnectionError):
        while True:
            while (end := got.find(b"\r\n\r\n")) < 0:
                piece = connection.recv(_CHUNK_BYTES)
                if not piece:
                    return
                got += piece
            head, body = bytes(got[:end]), got[end + 4 :]
            missing = _length_of(head) - len(body)
            while missing > 0:
                piece = connection.recv(min(missing, _CHUNK_BYTES))
                if not piece:
                    return
                body += piece
                missing -= len(piece)
            connection.sendall(_ANSWER)
            sink.keep(bytes(body), has_logs=head.startswith(_LOGS))
            got.clear()  # a client waits for the answer before its next request


def _length_of(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


def _serve_grpc(sink: _Sink) -> tuple[int, object]:
    options = [("grpc.max_receive_message_length", _LARGEST_BYTES)]
    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[_Exports(sink)], options=options)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return port, server


class _Exports(grpc.GenericRpcHandler):
    """Answers exports without a look at them."""

    def __init__(self, sink: _Sink) -> None:
        def export(request: bytes, _context: grpc.ServicerContext) -> bytes:
            sink.keep(request)
            return b""

        self._handler: Any = grpc.unary_unary_rpc_method_handler(export)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handler if handler_call_details.method == METHOD else None


def _spans(body: bytes) -> Iterator[Any]:
    for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for of_scope in of_resource.scope_spans:
            yield from of_scope.spans


def _count_logs(body: bytes) -> int:
    request = ExportLogsServiceRequest.FromString(body)
    return sum(len(scope.log_records) for resource in request.resource_logs for scope in resource.scope_logs)


if __name__ == "__main__":
    main()
