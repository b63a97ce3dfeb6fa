"""DynamoDB with nothing in it, as a process: ``python -m benchmarks.e2e.dynamodb`` prints a line with its port."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from zlib import crc32

_BODY = b"{}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one segment

    def do_POST(self) -> None:
        """Answer that there is no such item."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(_BODY)))
        self.send_header("x-amzn-RequestId", "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123")
        self.send_header("x-amz-crc32", str(crc32(_BODY)))
        self.end_headers()
        self.wfile.write(_BODY)

    def log_message(self, format: str, *args: object) -> None:  # ruff: ignore[builtin-argument-shadowing]
        """Log nothing."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(json.dumps({"port": server.server_port}), flush=True)
    server.serve_forever()
