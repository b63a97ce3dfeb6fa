"""One time limit for a whole HTTP delivery, and its end from another thread: `Cutoff`.

The timeouts of requests and urllib3 are per read: an answer of a byte a second never runs into one, and the delivering
thread would hang for ever. So the connections register the socket in use, and at the limit it is shut down: any call
that waits for it then returns at once.
"""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class NoThreadError(OSError):
    """Raised when no thread can be started, for want of memory or by a limit, that would end a delivery in time."""


class Cutoff:
    """Ends the delivery under way at its time limit, or for good. One delivery at a time.

    A thread waits for the limit. It sleeps on when the delivery is over, to find the limit of a later one when it
    wakes, as deliveries that follow each other need not start a thread each; it ends when it finds none.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without a delivery; ``clock`` returns monotonic seconds."""
        self._clock = clock
        self._changed = threading.Condition()
        """Guards all below."""
        self._deadline = math.inf
        """Of the delivery under way, in monotonic seconds; infinite without one."""
        self._watchdog: threading.Thread | None = None
        self._wakes_at = math.inf
        self._socket: socket.socket | None = None
        """The connection in use; kept between deliveries, as it is."""
        self._is_closed = False
        self.is_cut = False
        """Whether the delivery under way, or the last one, was ended."""
        self.is_connecting = False
        """Whether a connection was begun and not established, its TLS included: nothing has been sent over it."""

    @contextlib.contextmanager
    def within(self, seconds: float) -> Generator[None]:
        """End the delivery that is made inside after that many seconds.

        Raises:
            ConnectionAbortedError: `close` was called.
            NoThreadError: nothing would end it.
        """
        with self._changed:
            if self._is_closed:
                raise ConnectionAbortedError("closed")
            self.is_cut = self.is_connecting = False
            self._deadline = self._clock() + seconds
            self._have_watched()
        try:
            yield
        finally:
            with self._changed:
                self._deadline = math.inf

    def close(self) -> None:
        """End a delivery under way, unless it is still connecting, and let no more begin."""
        with self._changed:
            self._is_closed = True
            self._cut()
            self._changed.notify_all()

    def connecting(self) -> None:
        """Record that a connection is begun."""
        with self._changed:
            self._socket = None
            self.is_connecting = True

    def connected(self, sock: socket.socket) -> None:
        """Register the socket of a new connection, whose TLS may still be to come.

        Raises:
            TimeoutError: the delivery was ended meanwhile.
        """
        with self._changed:
            self._socket = sock
            if self.is_cut:
                raise TimeoutError("connected too late")

    def ready(self, sock: socket.socket) -> None:
        """Register the socket that the request is going to be sent over.

        Raises:
            TimeoutError: the delivery was ended meanwhile.
        """
        self.connected(sock)
        self.is_connecting = False

    def _watch(self) -> None:
        with self._changed:
            while self._deadline < math.inf:
                if (seconds := self._deadline - self._clock()) > 0:
                    self._wakes_at = self._deadline
                    self._changed.wait(min(seconds, threading.TIMEOUT_MAX))
                else:
                    self._cut()
            self._watchdog = None

    # Both with the lock held.

    def _have_watched(self) -> None:
        if self._watchdog is None:
            watchdog = threading.Thread(target=self._watch, name="csm-otel-cutoff", daemon=True)
            try:
                watchdog.start()
            except RuntimeError as error:
                raise NoThreadError from error
            self._watchdog = watchdog
        elif self._deadline < self._wakes_at:
            self._changed.notify_all()

    def _cut(self) -> None:
        self._deadline = math.inf
        self.is_cut = True
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it has ended by itself
                # Not the method of a TLS socket, which would make the other thread read on without TLS.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class CutoffAdapter(HTTPAdapter):
    """Opens connections that a `Cutoff` can end."""

    def __init__(self, cutoff: Cutoff) -> None:
        self._pools = _pools(cutoff)
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **settings: Any) -> None:  # ruff: ignore[boolean-type-hint-positional-argument, boolean-default-value-positional-argument]
        """Use these pools for direct connections."""
        super().init_poolmanager(connections, maxsize, block, **settings)
        self._use(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **settings: Any) -> Any:
        """Use them through an HTTP proxy; SOCKS connections would have classes of their own."""
        manager = super().proxy_manager_for(proxy, **settings)
        self._use(manager)
        return manager

    def _use(self, manager: PoolManager) -> None:
        manager.pool_classes_by_scheme = self._pools


def _innermost(sock: Any) -> socket.socket:
    """Return the socket beneath urllib3's wrappers, as of TLS through a proxy that is spoken to over TLS itself."""
    while not isinstance(sock, socket.socket):
        sock = sock.socket
    return sock


def _pools(cutoff: Cutoff) -> dict[str, type[HTTPConnectionPool]]:
    """Return urllib3's pools with connections that register their sockets."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            cutoff.connecting()
            super().connect()
            cutoff.ready(_innermost(self.sock))

        def _new_conn(self) -> socket.socket:
            sock = super()._new_conn()
            try:
                cutoff.connected(sock)
            except TimeoutError:
                sock.close()  # which is nobody's yet
                raise
            return sock

    class Secure(Plain, HTTPSConnection):  # in this order: "super" in Plain then is HTTPSConnection
        pass

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
