"""A TCP proxy with the faults of bad networks: slow, cut, reset, stalled and refused connections.

It does not parse what it forwards, so it works for TLS, HTTP and gRPC alike. Each connection has its own plan, from a
script; those beyond the script have ``proxy.plan``, which may be changed at any time:

    with HttpBackend() as backend, FaultyProxy(backend.endpoint) as proxy:
        proxy.script(Plan(answer=Flow(end_after_bytes=20)))  # the first connection: reset in the answer's 20th byte
        proxy.plan = Plan(delay_seconds=0.1)                 # all others
        deliver_to(proxy.endpoint)
        proxy.change(Plan(answer=Flow(byte_seconds=1)))      # those that are open, from here on
        proxy.end_connections("reset")                       # those that are open, whatever their plans
        proxy.refuse()                                       # nothing listens any more
        proxy.listen()                                       # and again, on the same port

Byte counts and pauses are per connection and direction. Threads: one that accepts and one a connection.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

Ending = Literal["close", "reset", "hang"]

_LOOK_SECONDS = 0.02
_PIECE_BYTES = 65_536
_PATIENCE_SECONDS = 20.0  # for a peer that reads nothing
_RESET = struct.pack("ii", 1, 0)
_SMALL_BUFFER_BYTES = 4_096  # so that a sender soon notices that nothing is read


@dataclass(frozen=True, kw_only=True)
class Flow:
    """Faults for the bytes of one direction; by default none."""

    unharmed_bytes: int = 0
    """The number of bytes that pass without pauses."""
    byte_seconds: float = 0.0
    """A pause after each byte, which is then sent alone; 0: no pauses."""
    end_after_bytes: int | None = None
    """The number of bytes that pass before the end; None: all."""
    ending: Ending = "reset"
    """The end: both sides are closed or reset, or this direction stalls while the connection stays open."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Faults for one connection; by default none."""

    delay_seconds: float = 0.0
    """The delay before the first byte passes, in either direction."""
    request: Flow = field(default_factory=Flow)
    """From the client to the server."""
    answer: Flow = field(default_factory=Flow)
    """From the server to the client."""


REFUSED = Plan(request=Flow(end_after_bytes=0))
"""Reset as soon as it is accepted; to refuse it instead see `FaultyProxy.refuse`."""
BLACK_HOLE = Plan(request=Flow(end_after_bytes=0, ending="hang"), answer=Flow(end_after_bytes=0, ending="hang"))
"""Accepted, and then silent; nothing that the client sends is read."""


class FaultyProxy:
    """Stand in front of a server on a separate loopback port."""

    def __init__(self, endpoint: str) -> None:
        """Forward to the server's URL, of which scheme, host and port count."""
        self.target(endpoint)
        self._mutex = threading.Lock()
        self._script: list[Plan] = []
        self._open: set[_Connection] = set()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self._port = 0
        self.plan = Plan()
        """The plan of connections beyond the script."""
        self.connections = 0
        """The number of accepted connections."""
        self.listen()
        self.endpoint = f"{urlsplit(endpoint).scheme}://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self.end_connections("close")
        for thread in self._threads:
            thread.join(_PATIENCE_SECONDS)

    def target(self, endpoint: str) -> None:
        """Connect to another server from now on."""
        parts = urlsplit(endpoint)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 0)

    def script(self, *plans: Plan) -> None:
        """Set the plans of the next connections."""
        with self._mutex:
            self._script.extend(plans)

    def change(self, plan: Plan) -> None:
        """Set the plan of the open connections; bytes are counted from here."""
        with self._mutex:
            connections = list(self._open)
        for connection in connections:
            connection.change(plan)

    def listen(self) -> None:
        """Accept connections, after `refuse` on the same port again."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER_BYTES)
        listener.bind(("127.0.0.1", self._port))
        listener.listen()
        listener.settimeout(_LOOK_SECONDS)
        self._port = listener.getsockname()[1]
        self._listener = listener
        self._start(self._accept_all, listener)

    def refuse(self) -> None:
        """Refuse new connections; open ones stay."""
        listener, self._listener = self._listener, None
        if listener is not None:
            # The accepting thread closes it: to close it during an accept would let one more through.
            acceptor = next(thread for thread in self._threads if thread.name == str(id(listener)))
            acceptor.join(_PATIENCE_SECONDS)

    def end_connections(self, ending: Literal["close", "reset"]) -> None:
        """Close or reset all open connections, and wait until they have ended."""
        with self._mutex:
            connections = list(self._open)
        for connection in connections:
            connection.wish = ending
        for connection in connections:
            connection.is_over.wait(_PATIENCE_SECONDS)

    def _start(self, run: Callable[[Any], None], owner: object) -> None:
        thread = threading.Thread(target=run, args=(owner,), name=str(id(owner)), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept_all(self, listener: socket.socket) -> None:
        with listener:
            while self._listener is listener:
                try:
                    client, _ = listener.accept()
                except TimeoutError:
                    continue
                with self._mutex:
                    self.connections += 1
                    connection = _Connection(client, self._script.pop(0) if self._script else self.plan)
                    self._open.add(connection)
                self._start(self._serve, connection)

    def _serve(self, connection: _Connection) -> None:
        try:
            connection.run(self._target)
        finally:
            with self._mutex:
                self._open.discard(connection)
            connection.is_over.set()


class _Direction:
    def __init__(self, source: socket.socket, sink: socket.socket, flow: Flow) -> None:
        self.source = source
        self.sink = sink
        self.has_ended = False
        self.follow(flow)

    def follow(self, flow: Flow) -> None:
        self.flow = flow
        self.passed = 0
        self.next_at = 0.0
        """Monotonic seconds."""

    @property
    def is_at_end(self) -> bool:
        return self.passed == self.flow.end_after_bytes

    def pass_on(self) -> None:
        """Forward available bytes, at most as many as may pass."""
        most = _PIECE_BYTES
        if self.flow.byte_seconds:
            most = max(self.flow.unharmed_bytes - self.passed, 1)
        if self.flow.end_after_bytes is not None:
            most = min(most, self.flow.end_after_bytes - self.passed)
        piece = self.source.recv(most)
        if piece:
            self.sink.sendall(piece)
            self.passed += len(piece)
            is_harmed = self.passed > self.flow.unharmed_bytes
            self.next_at = time.monotonic() + (self.flow.byte_seconds if is_harmed else 0.0)
        else:
            self.has_ended = True
            self.sink.shutdown(socket.SHUT_WR)


class _Connection:
    """One thread for both directions: resetting a socket would wait for another thread that waits for it."""

    def __init__(self, client: socket.socket, plan: Plan) -> None:
        self._client = client
        self._plan = plan
        self._begin = time.monotonic() + plan.delay_seconds
        self.wish: Literal["close", "reset"] | None = None
        """How to end it now."""
        self.is_over = threading.Event()
        self._new_plan: Plan | None = None
        self._has_changed = threading.Event()

    def change(self, plan: Plan) -> None:
        """Switch to another plan; returns when it applies, or the connection has ended."""
        self._has_changed.clear()
        self._new_plan = plan
        end = time.monotonic() + _PATIENCE_SECONDS
        while not (self._has_changed.wait(_LOOK_SECONDS) or self.is_over.is_set() or time.monotonic() > end):
            continue

    def run(self, target: tuple[str, int]) -> None:
        server = socket.socket()
        try:
            for sock in (self._client, server):
                sock.settimeout(_PATIENCE_SECONDS)
            server.connect(target)
            ending = self._run(
                _Direction(self._client, server, self._plan.request),
                _Direction(server, self._client, self._plan.answer),
            )
        except OSError:  # if one side has gone, or never was there, the other ends too
            ending = "reset"
        for sock in (self._client, server):
            with contextlib.suppress(OSError):
                if ending == "reset":
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            sock.close()

    def _run(self, request: _Direction, answer: _Direction) -> Literal["close", "reset"]:
        directions = (request, answer)
        while self.wish is None:
            if self._new_plan is not None:
                request.follow(self._new_plan.request)
                answer.follow(self._new_plan.answer)
                self._begin = time.monotonic() + self._new_plan.delay_seconds
                self._new_plan = None
                self._has_changed.set()
            for direction in directions:
                if direction.is_at_end and direction.flow.ending != "hang":
                    return direction.flow.ending
            if all(direction.has_ended for direction in directions):
                return "close"
            now = time.monotonic()
            for direction in _readable(
                [one for one in directions if max(one.next_at, self._begin) <= now and not one.is_at_end]
            ):
                direction.pass_on()
        return self.wish


def _readable(directions: list[_Direction]) -> list[_Direction]:
    with selectors.DefaultSelector() as selector:
        for direction in directions:
            if not direction.has_ended:
                selector.register(direction.source, selectors.EVENT_READ, direction)
        return [key.data for key, _ in selector.select(_LOOK_SECONDS)]
