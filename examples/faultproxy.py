"""A reverse proxy for loopback that identifies and logs every answer, and injects faults by rules.

In: the HTTP/1.1 requests of an AWS SDK to a local simulation of AWS (moto). Out: its answers or a fault, each with a
unique request id, and one `Answer` per request, to compare with a trace of the same calls. A body is in memory while it
is forwarded. Headers, query strings and bodies are never logged: they contain secrets.

    with FaultProxy(moto_port, [Rule(kind="throttle", operation="PutItem", times=2)]) as proxy:
        dynamodb = boto3.client("dynamodb", endpoint_url=f"http://127.0.0.1:{proxy.port}")
        ...
        print(proxy.answers)

As a command it prints its port to stdout and ends on SIGINT or SIGTERM; the rules are a JSON list of `Rule` fields.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import http.client
import json
import os
import re
import signal
import socket
import struct
import sys
import threading
import time
import uuid
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from awswire import AwsError, Request
from faultrules import Rule, RuleBook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

IDLE_SECONDS = 60  # timeout of a silent connection, on either side
MAX_LINE_BYTES = 65_536  # of a chunk's size or a trailer, the limit of http.server for a header
REQUEST_ID_HEADERS = ("x-amzn-RequestId", "x-amz-request-id", "x-amzn-request-id")
# Headers of one connection (RFC 9110 §7.6.1), and those that the proxy sets itself.
NOT_FORWARDED = {
    *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
    *("content-length", "expect", *(name.lower() for name in REQUEST_ID_HEADERS)),
}
XML_REQUEST_ID = re.compile(rb"(?<=<(?:RequestId|RequestID|requestId)>)[^<]*")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to one HTTP request."""

    request_id: str
    """Unique, and in the answer's headers, so that the client has it if there was an answer."""
    received_ns: int
    """When the request was complete, with its body: wall time in epoch nanoseconds."""
    method: str
    path: str
    service: str
    operation: str
    status: int | None
    """The HTTP status; None if the connection ended without an answer."""
    fault: str | None
    """The kind of the applied rule; ``upstream``: moto did not answer; ``malformed``: the request was not HTTP."""
    call: str = ""
    """The API call of which it is an attempt, by ``call_of`` of the `FaultProxy`; empty if unknown."""


class FaultProxy:
    """A context manager that serves on a free port of 127.0.0.1 in front of ``upstream_port``.

    The first active rule that fits a request applies. Each answer is written to ``log`` as a line of JSON before it is
    sent to the client; the caller closes ``log``. ``call_of`` returns the API call of a request, if the caller has made
    its calls recognisable.
    """

    def __init__(
        self,
        upstream_port: int,
        rules: Iterable[Rule] = (),
        *,
        log: IO[str] | None = None,
        call_of: Callable[[Request], str] = lambda _: "",
    ) -> None:
        self.call_of = call_of
        self.upstream_port = upstream_port
        self.rules = RuleBook(rules)
        self.released = threading.Event()
        self._log = log
        self._answers: list[Answer] = []
        self._lock = threading.Lock()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="faultproxy")
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def answers(self) -> list[Answer]:
        """The answers so far in order; a held request is included from its start."""
        with self._lock:
            return list(self._answers)

    def release(self) -> None:
        """End all holds and delays, including later ones."""
        self.released.set()

    def record(self, answer: Answer) -> None:
        """Store the answer and write it to the log."""
        with self._lock:
            self._answers.append(answer)
            if self._log:
                self._log.write(json.dumps(dataclasses.asdict(answer)) + "\n")
                self._log.flush()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # server_close joins them, so that none outlives the proxy
    request_queue_size = 128  # an SDK opens a connection for each thread at the same time

    def __init__(self, proxy: FaultProxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy
        self._connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        for connection in list(self._connections):  # clients keep connections open; each handler then reads EOF
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a client that disconnected is not an error of the proxy
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    wbufsize = -1  # buffered, to send one segment: the demo shows latencies
    disable_nagle_algorithm = True

    def handle_expect_100(self) -> bool:
        super().handle_expect_100()
        self.wfile.flush()  # the client waits for it before it sends the body
        return True

    def log_message(self, *_: object) -> None:
        """Do not log here: the answer log has everything."""

    def serve(self) -> None:
        """Answer one request, or fail by a rule."""
        try:
            body = self._read_body()
        except ValueError:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        request = Request(method=self.command, target=self.path, headers=self.headers, body=body)
        rule = self.server.proxy.rules.take(request)
        answer = Answer(
            request_id=str(uuid.uuid4()),
            received_ns=time.time_ns(),
            method=request.method,
            path=request.path,
            service=request.service,
            operation=request.operation,
            status=None,
            fault=rule.kind if rule else None,
            call=self.server.proxy.call_of(request),
        )
        if rule and (error := rule.error(request)):
            self._answer_error(answer, request, error)
        elif rule and rule.kind != "delay":
            self._fail(answer, rule)
        else:
            if rule:
                self.server.proxy.released.wait(rule.seconds)
            self._pass_on(answer, request)

    # The names that http.server looks up.
    do_DELETE = do_GET = do_HEAD = do_OPTIONS = do_PATCH = do_POST = do_PUT = serve  # ruff: ignore[mixed-case-variable-in-class-scope]

    def _read_body(self) -> bytes:
        """Return the body, decoded from chunks (the content may still be ``aws-chunked``).

        Raises:
            ValueError: Length or chunks are malformed, or the body ends early.

        """
        if self.headers.get("Transfer-Encoding", "identity").lower() == "identity":
            return self._read(int(self.headers.get("Content-Length", "0")))
        chunks = []
        while size := int(self.rfile.readline(MAX_LINE_BYTES).partition(b";")[0], base=16):
            chunks.append(self._read(size))
            self.rfile.readline(MAX_LINE_BYTES)  # the line end after the chunk
        while self.rfile.readline(MAX_LINE_BYTES).strip():
            pass  # trailers; the aws-chunked ones are inside the chunks
        return b"".join(chunks)

    def _read(self, size: int) -> bytes:
        if size < 0 or len(data := self.rfile.read(size)) < size:
            msg = "the body is shorter than announced"
            raise ValueError(msg)
        return data

    def _fail(self, answer: Answer, rule: Rule) -> None:
        self.server.proxy.record(answer)
        self.close_connection = True
        if rule.kind == "hold":
            self.server.proxy.released.wait(rule.seconds)
        elif rule.kind == "reset":
            # Closing with a linger of 0 s resets the connection; by its descriptor, as the usual way sends FIN
            # first.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())

    def _pass_on(self, answer: Answer, request: Request) -> None:
        try:
            response, body = self._ask_upstream(request)
        except (OSError, http.client.HTTPException, ValueError) as error:
            failure = AwsError(status=502, code="BadGateway", message=f"upstream: {type(error).__name__}")
            self._answer_error(dataclasses.replace(answer, fault="upstream"), request, failure)
            return
        # A successful answer of S3 may be an object that happens to be XML with such an element: not to be changed.
        is_message = request.protocol == "query" or response.status >= HTTPStatus.BAD_REQUEST
        if is_message and "xml" in response.headers.get_content_type():
            body = XML_REQUEST_ID.sub(answer.request_id.encode(), body)
        headers = [(name, value) for name, value in response.getheaders() if name.lower() not in NOT_FORWARDED]
        length = response.headers.get("Content-Length") if request.method == "HEAD" else str(len(body))
        self._answer(dataclasses.replace(answer, status=response.status), headers, body, length)

    def _ask_upstream(self, request: Request) -> tuple[http.client.HTTPResponse, bytes]:
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.proxy.upstream_port, timeout=IDLE_SECONDS)
        with contextlib.closing(upstream):
            upstream.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name.lower() not in NOT_FORWARDED:
                    upstream.putheader(name, value)
            upstream.putheader("Content-Length", str(len(request.body)))
            upstream.endheaders(request.body)
            response = upstream.getresponse()
            return response, response.read()

    def _answer_error(self, answer: Answer, request: Request, error: AwsError) -> None:
        headers, body = error.render(request.protocol, answer.request_id)
        headers["Date"] = self.date_time_string()
        self._answer(dataclasses.replace(answer, status=error.status), headers.items(), body, str(len(body)))

    def send_error(self, code: int, *_: object, **__: object) -> None:
        """Answer a request that is not HTTP, with a request id as usual; http.server calls this as well."""
        answer = Answer(
            request_id=str(uuid.uuid4()),
            received_ns=time.time_ns(),
            method=self.command or "",
            path="",
            service="",
            operation="",
            status=code,
            fault="malformed",
        )
        self.close_connection = True
        self.request_version = self.protocol_version  # without it http.server would omit the headers
        self._answer(answer, [("Connection", "close")], b"", "0")

    def _answer(self, answer: Answer, headers: Iterable[tuple[str, str]], body: bytes, length: str | None) -> None:
        status = answer.status or HTTPStatus.INTERNAL_SERVER_ERROR
        self.server.proxy.record(answer)
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        for name in REQUEST_ID_HEADERS:
            self.send_header(name, answer.request_id)
        if length is not None and status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
            self.send_header("Content-Length", length)
        self.end_headers()
        if answer.method != "HEAD":
            self.wfile.write(body)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the proxy as a command until it is stopped by a signal; return the exit code."""
    parser = argparse.ArgumentParser(
        description="A reverse proxy on 127.0.0.1 that logs every answer and injects faults."
    )
    parser.add_argument("--upstream", type=int, required=True, metavar="PORT", help="where requests are passed on to")
    parser.add_argument("--rules", type=Path, metavar="FILE", help="a JSON list of rules")
    parser.add_argument("--log", type=Path, metavar="FILE", help="gets a line of JSON per answer")
    options = parser.parse_args(arguments)
    try:
        rules = [Rule(**fields) for fields in json.loads(options.rules.read_text())] if options.rules else []
    except (OSError, TypeError, ValueError) as error:
        parser.error(f"--rules: {error}")
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(options.log.open("w", encoding="utf-8")) if options.log else None
        stop_signals = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals)  # before threads are started, which inherit it
        proxy = stack.enter_context(FaultProxy(options.upstream, rules, log=log))
        sys.stdout.write(f"{proxy.port}\n")
        sys.stdout.flush()
        signal.sigwait(stop_signals)
    return 0


if __name__ == "__main__":
    sys.exit(main())
