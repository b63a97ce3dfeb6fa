"""A request to the health port of a running daemon, see `csm_otel.service.routes`: `ask_over_http`.

Standard library only, as probes start often.
"""

from __future__ import annotations

import http.client
import io
import json
import socket
import time
from typing import TYPE_CHECKING, Any, cast

from csm_otel.errors import ControlError, address_text, reason_of
from csm_otel.service.answers import no_csm_otel
from csm_otel.service.control_client import ANSWER_BYTES, LEAST_SECONDS

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # ruff: ignore[hardcoded-bind-all-interfaces] - where to connect to


def url_of(host: str, port: int) -> str:
    """Return the address of a health port, for lines."""
    return f"http://{address_text(host, port)}"


def ask_over_http(
    host: str, port: int, method: str, target: str, *, connect_seconds: float, answer_seconds: float
) -> Any:
    """Return the JSON that is answered there, whatever its status.

    An address that stands for all of a host is asked on loopback.

    Raises:
        ControlError: nobody answers, or what answers is no daemon.
    """
    where = url_of(host, port)
    head = f"{method} {target} HTTP/1.1\r\nHost: {address_text(host, port)}\r\nContent-Length: 0\r\nConnection: close"
    address = (_LOOPBACK_OF.get(host, host), port)
    try:
        with socket.create_connection(address, timeout=max(connect_seconds, LEAST_SECONDS)) as sock:
            sock.sendall(f"{head}\r\n\r\n".encode())
            with http.client.HTTPResponse(_within(answer_seconds, sock), method=method) as response:
                response.begin()
                body = response.read(ANSWER_BYTES)
    except (OSError, UnicodeError) as error:
        raise ControlError(f"no daemon answers: {where}: {_why(error)}") from error
    except (http.client.HTTPException, ValueError) as error:  # the latter: a chunk of negative size
        raise ControlError(no_csm_otel(where)) from error
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ControlError(no_csm_otel(where)) from error


def _why(error: OSError | UnicodeError) -> str:
    if isinstance(error, http.client.RemoteDisconnected):  # as a daemon that is killed does
        return "it hung up"
    if isinstance(error, TimeoutError):
        return "no answer"
    return reason_of(error, "not a host name")  # without a form in DNS


class _Received(io.RawIOBase):
    """What a socket receives until a deadline, however much arrives."""

    def __init__(self, deadline: float, sock: socket.socket) -> None:
        self._deadline = deadline
        self._sock = sock

    def readable(self) -> bool:  # ruff: ignore[no-self-use] - the protocol asks
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        left_seconds = self._deadline - time.monotonic()
        if left_seconds <= 0:  # the socket does not time out while there is something to receive
            raise TimeoutError
        self._sock.settimeout(left_seconds)
        return self._sock.recv_into(buffer)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return a reader, as a socket does."""
        return io.BufferedReader(self)


def _within(seconds: float, sock: socket.socket) -> socket.socket:
    """Return what an HTTPResponse asks of a socket, which receives for ``seconds`` from now on."""
    return cast("socket.socket", _Received(time.monotonic() + max(seconds, LEAST_SECONDS), sock))
