"""The clients of a stream socket, each of whom says one thing and gets one answer: `Clients`.

Whoever hangs, drips or sends garbage costs a place for a few seconds, and nobody else waits for it: no call blocks but
`wait`, for as long as it is told to. What is said is a text that ends with a certain mark, and is bounded; so are the
number of clients and their time.
"""

from __future__ import annotations

import contextlib
import select
import selectors
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from csm_otel.process.waker import Waker

_MOST_CLIENTS = 64
_MOST_BYTES = 8192  # of what a client says; a browser's headers are a tenth of it
_PARTING_SECONDS = 1.0  # for the client to hang up; a close with something unread would take back the answer
_PAUSE_SECONDS = 1.0  # without a descriptor left there is no use in trying at once


class Client:
    """One client; ``said`` is what it says, and complete once `Clients.wait` has returned it."""

    __slots__ = ("deadline", "is_answered", "is_gone", "said", "sock")

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.sock = sock
        self.said = bytearray()
        self.deadline: float | None = deadline
        """When it is sent away, in monotonic seconds; None while it is us it waits for."""
        self.is_answered = False
        self.is_gone = False
        """Whether it has hung up, or was sent away: it gets no answer."""


class Clients:
    """Accepts clients and hears them; for one thread."""

    def __init__(
        self,
        listener: socket.socket,
        *,
        end: bytes,
        patience_seconds: float = 5.0,
        wake: Waker | None = None,
    ) -> None:
        """Take over a listening socket; ``wake`` ends a `wait` early.

        What a client says ends with ``end``, and has to be there within ``patience_seconds``.
        """
        self._patience_seconds = patience_seconds
        self._listener = listener
        self._end = end
        self._wake = wake
        self._clients: list[Client] = []
        self._paused_until: float | None = None
        self._selector = selectors.DefaultSelector()
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)
        if wake is not None:
            self._selector.register(wake, selectors.EVENT_READ)

    def fileno(self) -> int:
        """Return a descriptor that is readable when `wait` has something to do; epoll's own can be waited on."""
        return self._selector.fileno()

    def next_deadline(self) -> float | None:
        """Return the monotonic second at which `wait` has something to do in any case, or None."""
        deadlines = [client.deadline for client in self._clients if client.deadline is not None]
        return min([*deadlines, *([] if self._paused_until is None else [self._paused_until])], default=None)

    def wait(self, seconds: float) -> list[Client]:
        """Wait for what clients say, and return those who have said it; each is to get its `answer`.

        A client that hangs up while it waits for it is noticed by the next call, see `Client.is_gone`.
        """
        self._look_for_hangups()
        deadline = self.next_deadline()
        if deadline is not None:
            seconds = min(seconds, max(0.0, deadline - time.monotonic()))
        heard = []
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._listener:
                self._accept_all()
            elif key.fileobj is self._wake:
                self._wake.clear()
            elif key.data in self._clients and self._hear(key.data):
                heard.append(key.data)
        self._send_away(time.monotonic())
        return heard

    def answer(self, client: Client, text: bytes) -> None:
        """Answer a client; a short text, which a socket's empty buffer takes."""
        if client.is_gone:
            return
        client.is_answered = True
        client.deadline = time.monotonic() + _PARTING_SECONDS
        try:
            client.sock.send(text)
            client.sock.shutdown(socket.SHUT_WR)
            self._selector.register(client.sock, selectors.EVENT_READ, client)
        except OSError:  # it has gone
            self._forget(client)

    def close(self) -> None:
        """Send all away and close the socket."""
        for client in list(self._clients):
            self._forget(client)
        self._selector.close()
        self._listener.close()

    def _accept_all(self) -> None:
        for _ in range(_MOST_CLIENTS):
            if not self._accept():
                return

    def _accept(self) -> bool:
        """Accept a client, and tell whether there may be another one."""
        try:
            sock, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return False
        except OSError:
            self._selector.unregister(self._listener)
            self._paused_until = time.monotonic() + _PAUSE_SECONDS
            return False
        sock.setblocking(False)
        if len(self._clients) >= _MOST_CLIENTS:
            self._look_for_hangups()
        if len(self._clients) >= _MOST_CLIENTS:
            waiting = [client for client in self._clients if client.deadline is not None]
            if not waiting:
                sock.close()
                return True
            self._forget(waiting[0])  # who came first has had the most time
        client = Client(sock, time.monotonic() + self._patience_seconds)
        self._clients.append(client)
        self._selector.register(sock, selectors.EVENT_READ, client)
        return True

    def _hear(self, client: Client) -> bool:
        """Take what a client says, and tell whether it has just said all."""
        try:
            piece = client.sock.recv(_MOST_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            piece = b""
        if client.is_answered and piece:
            return False
        client.said += piece
        if not piece or len(client.said) > _MOST_BYTES:
            self._forget(client)
            return False
        if self._end not in client.said:
            return False
        self._selector.unregister(client.sock)
        client.deadline = None
        return True

    def _look_for_hangups(self) -> None:
        """Free the places of those who do not wait for their answer any more.

        A client that only has nothing more to say looks the same to a selector, but not to poll: POLLHUP comes unasked.
        """
        waiting = {one.sock.fileno(): one for one in self._clients if one.deadline is None}
        if waiting:
            poller = select.poll()
            for descriptor in waiting:
                poller.register(descriptor, 0)
            for descriptor, _ in poller.poll(0):
                self._forget(waiting[descriptor])

    def _send_away(self, now: float) -> None:
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
