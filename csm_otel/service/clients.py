"""Clients of a stream socket, each of which sends one request and gets one response: `Clients`.

A client that hangs, sends a byte at a time or sends garbage occupies a slot for a few seconds, and no other one waits
for it: only `Clients.wait` blocks, for as long as its caller asks. A request is bytes up to a terminator; its size is
bounded, as are the number of clients, the time for a request and that for taking its response.
"""

from __future__ import annotations

import contextlib
import select
import selectors
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from csm_otel.process.waker import Waker

_MAX_CLIENTS = 64
_MAX_REQUEST_BYTES = 8192  # a browser's headers are a tenth of it
_TIMEOUT_SECONDS = 5.0
# Lingering close: the client has so long to hang up. A close with something unread would reset the connection, and the
# response be lost.
_LINGER_SECONDS = 1.0
_ACCEPT_PAUSE_SECONDS = 1.0  # without a descriptor left the next accept would fail, too


class Client:
    """One client; ``request`` has the bytes received, complete once `Clients.wait` has returned the client."""

    __slots__ = ("deadline", "host", "is_answered", "is_gone", "request", "sock", "unsent")

    def __init__(self, sock: socket.socket, host: str, deadline: float) -> None:
        self.sock = sock
        self.host = host
        """Its IP address; empty for a unix socket."""
        self.request = bytearray()
        self.deadline: float | None = deadline
        """When it is disconnected, in monotonic seconds; None while it waits for its response."""
        self.is_answered = False
        self.unsent = memoryview(b"")
        """The rest of its response, which the socket's buffer had no room for."""
        self.is_gone = False
        """Whether it has hung up or was disconnected: it gets no response."""


class Clients:
    """Accepts clients and reads their requests; for one thread."""

    def __init__(
        self,
        listener: socket.socket,
        *,
        terminator: bytes,
        timeout_seconds: float = _TIMEOUT_SECONDS,
        waker: Waker | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take ownership of a listening socket; ``waker`` ends a `wait` early.

        A request ends with ``terminator``, and must be complete within ``timeout_seconds``. ``clock`` returns
        monotonic seconds.
        """
        self._timeout_seconds = timeout_seconds
        self._listener = listener
        self._terminator = terminator
        self._waker = waker
        self._clock = clock
        self._clients: list[Client] = []
        self._paused_until: float | None = None
        self._selector = selectors.DefaultSelector()
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)
        if waker is not None:
            self._selector.register(waker, selectors.EVENT_READ)

    def fileno(self) -> int:
        """Return a descriptor that is readable when `wait` has something to do; epoll's own can be waited on."""
        return self._selector.fileno()

    def next_deadline(self) -> float | None:
        """Return the monotonic second at which `wait` has something to do in any case, or None."""
        deadlines = [client.deadline for client in self._clients if client.deadline is not None]
        return min([*deadlines, *([] if self._paused_until is None else [self._paused_until])], default=None)

    def wait(self, seconds: float) -> list[Client]:
        """Wait for requests, and return the clients whose request is complete; each is to get its `answer`.

        A client that hangs up while it waits for its response ends the wait, see `Client.is_gone`; one of a unix socket
        is noticed by the next call.
        """
        self._forget_hung_up()
        deadline = self.next_deadline()
        if deadline is not None:
            seconds = min(seconds, max(0.0, deadline - self._clock()))
        complete = []
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._listener:
                self._accept_all()
            elif key.fileobj is self._waker:
                self._waker.clear()
            elif key.data not in self._clients:
                continue
            elif key.data.unsent:
                self._send(key.data)
            elif self._read(key.data):
                complete.append(key.data)
        self._expire(self._clock())
        return complete

    def answer(self, client: Client, response: bytes) -> None:
        """Send a client its response; what its socket has no room for is sent by `wait`."""
        if client.is_gone:
            return
        client.is_answered = True
        client.unsent = memoryview(response)  # metrics have megabytes, which are not to be copied with each part sent
        client.deadline = self._clock() + self._timeout_seconds
        if client.sock in self._selector.get_map():
            self._selector.modify(client.sock, selectors.EVENT_WRITE, client)
        else:
            self._selector.register(client.sock, selectors.EVENT_WRITE, client)
        self._send(client)

    def close(self) -> None:
        """Disconnect all clients and close the socket."""
        for client in list(self._clients):
            self._forget(client)
        self._selector.close()
        self._listener.close()

    def _accept_all(self) -> None:
        for _ in range(_MAX_CLIENTS):
            if not self._accept():
                return

    def _accept(self) -> bool:
        """Accept a client, and return whether there may be another one."""
        try:
            sock, address = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return False
        except OSError:
            self._selector.unregister(self._listener)
            self._paused_until = self._clock() + _ACCEPT_PAUSE_SECONDS
            return False
        sock.setblocking(False)
        if len(self._clients) >= _MAX_CLIENTS:
            self._forget_hung_up()
        if len(self._clients) >= _MAX_CLIENTS:
            incomplete = [client for client in self._clients if client.deadline is not None]
            if not incomplete:
                sock.close()
                return True
            self._forget(incomplete[0])  # which has had the most time
        client = Client(sock, _host_in(address), self._clock() + self._timeout_seconds)
        self._clients.append(client)
        self._selector.register(sock, selectors.EVENT_READ, client)
        return True

    def _send(self, client: Client) -> None:
        """Send what there is room for, and after the last of it wait for the client to hang up."""
        try:
            client.unsent = client.unsent[client.sock.send(client.unsent) :]
            if not client.unsent:
                client.sock.shutdown(socket.SHUT_WR)
                client.deadline = self._clock() + _LINGER_SECONDS
                self._selector.modify(client.sock, selectors.EVENT_READ, client)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # it has hung up
            self._forget(client)

    def _read(self, client: Client) -> bool:
        """Read from a client, and return whether that completes its request."""
        try:
            piece = client.sock.recv(_MAX_REQUEST_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            piece = b""
        is_complete = client.deadline is None
        if piece and (client.is_answered or is_complete):
            return False
        client.request += piece
        if not piece or len(client.request) > _MAX_REQUEST_BYTES:
            self._forget(client)
            return False
        if self._terminator not in client.request:
            return False
        if not client.host:
            self._selector.unregister(client.sock)
        client.deadline = None
        return True

    def _forget_hung_up(self) -> None:
        """Free the slots of clients of a unix socket that have hung up while they were to wait for their response.

        To a selector a client that has only shut down its sending side looks the same, but not to poll, which reports
        POLLHUP unasked. Over TCP poll cannot distinguish them either: there a client that sends no more has hung up, as
        it has for most HTTP servers.
        """
        waiting = {one.sock.fileno(): one for one in self._clients if one.deadline is None and not one.host}
        if waiting:
            poller = select.poll()
            for descriptor in waiting:
                poller.register(descriptor, 0)
            for descriptor, _ in poller.poll(0):
                self._forget(waiting[descriptor])

    def _expire(self, now: float) -> None:
        for client in [one for one in self._clients if one.deadline is not None and one.deadline <= now]:
            self._forget(client)
        if self._paused_until is not None and self._paused_until <= now:
            self._paused_until = None
            self._selector.register(self._listener, selectors.EVENT_READ)

    def _forget(self, client: Client) -> None:
        client.is_gone = True
        self._clients.remove(client)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(client.sock)
        client.sock.close()


def _host_in(address: object) -> str:
    """Return the host of a socket's address; that of an IPv4 client of an IPv6 socket as IPv4 (RFC 4291, 2.5.5.2)."""
    return str(address[0]).removeprefix("::ffff:") if isinstance(address, tuple) else ""
