"""An HTTP proxy, as companies have it: it forwards requests, and tunnels what begins with CONNECT.

Names need not exist, because it leads all of them to one server:

    with HttpBackend() as backend, ForwardProxy(backend.endpoint) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.endpoint)
        deliver_to("http://collector.invalid:4318")
        assert proxy.heads[0].startswith("POST http://collector.invalid:4318/v1/traces ")

With an ``answer`` it forwards nothing: it sends these bytes for each request, and closes.
"""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import ssl
import threading
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

    from otlp_backend import Certificate

_PATIENCE_SECONDS = 60.0
_PIECE_BYTES = 65_536


class ForwardProxy:
    """Runs on a loopback port."""

    def __init__(
        self,
        endpoint: str = "http://127.0.0.1:1",
        *,
        answer: bytes | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        """Lead everything to the server with this URL, of which host and port count; with a certificate by TLS."""
        parts = urlsplit(endpoint)
        self.target = (parts.hostname or "", parts.port or 0)
        self.answer = answer
        self.heads: list[str] = []
        """The request line and headers of each connection's first request."""
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        scheme = "http"
        if certificate is not None:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.path, certificate.key_path)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.endpoint = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_PATIENCE_SECONDS)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    proxy: ForwardProxy


class _Handler(socketserver.StreamRequestHandler):
    server: _Server
    rbufsize = 0  # what follows the head must stay in the socket
    timeout = _PATIENCE_SECONDS

    def handle(self) -> None:
        """Serve one connection; clients that do not trust it end it."""
        with contextlib.suppress(ssl.SSLError):
            self._handle()

    def _handle(self) -> None:
        head = b"".join(iter(self.rfile.readline, b"\r\n")).decode("latin-1")
        self.server.proxy.heads.append(head)
        if self.server.proxy.answer is not None:
            length = re.search(r"(?im)^content-length: *(\d+)", head)
            self.rfile.read(int(length[1]) if length else 0)  # closing with unread bytes would be a reset
            self.wfile.write(self.server.proxy.answer)
            return
        method, url, rest = head.split(" ", 2)
        with socket.create_connection(self.server.proxy.target, _PATIENCE_SECONDS) as server:
            if method == "CONNECT":
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                server.sendall(f"{method} {urlsplit(url).path} {rest}\r\n".encode("latin-1"))
            back = threading.Thread(target=_copy, args=(server.recv, self.connection), daemon=True)
            back.start()
            _copy(self.connection.recv, server)
            back.join(_PATIENCE_SECONDS)


def _copy(receive: Callable[[int], bytes], sink: socket.socket) -> None:
    """Forward bytes until their end, and announce that."""
    with contextlib.suppress(OSError):
        while piece := receive(_PIECE_BYTES):
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
