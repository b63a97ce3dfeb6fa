"""The daemon's side of the control socket: `Control`.

The protocol: a client connects, sends one line of JSON, and receives one line of JSON; then both hang up.

    {"do": "flush", "timeout_seconds": 10}
    {"delivered": true, "why_not": "", "datagrams_received": 12, ... the counts of `csm_otel.tally.Snapshot`}

    {"do": "health"}
    {"status": "ok", "troubles": [], "datagrams_received": 12, ... the same counts}

``delivered`` is true when everything that had arrived by then was accepted by its destinations, within the client's
timeout. ``status`` is one of `csm_otel.service.state.STATES`. A line that is no such request gets
``{"error": "..."}``. A client that is slow to send its line is disconnected; the flush of one that hangs up is
cancelled.
"""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any, Self

from csm_otel.service import control_socket
from csm_otel.service.clients import Client, Clients
from csm_otel.service.flushing import MAX_TIMEOUT_SECONDS, Flushings
from csm_otel.service.state import running_state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from csm_otel.engine.bridge import Bridge


class Control:
    """Answers clients; for the loop's thread, see `csm_otel.engine.agent.Service`."""

    def __init__(
        self, clients: Clients, path: Path, bridge: Bridge, *, wall_clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        """Take ownership of the clients of the socket at ``path``. ``wall_clock_ns`` returns epoch nanoseconds."""
        self._clients = clients
        self._path = path
        self._inode = path.lstat().st_ino
        self._bridge = bridge
        self._wall_clock_ns = wall_clock_ns
        self._flushings: Flushings[Client] = Flushings(bridge)

    @classmethod
    def open(cls, path: Path, bridge: Bridge) -> Self:
        """Listen at ``path``.

        Raises:
            ControlError: the socket cannot be created there.
        """
        return cls(Clients(control_socket.open_control_socket(path), terminator=b"\n"), path, bridge)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when a client connects, sends or hangs up."""
        return self._clients.fileno()

    def next_deadline(self) -> float | None:
        """Return the monotonic second at which there is something to do in any case, or None."""
        deadlines = (self._clients.next_deadline(), self._flushings.next_deadline())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def poll(self, *, now: float) -> None:
        """Read requests, advance the flushes, and answer those that have ended."""
        for client in self._clients.wait(0):
            self._begin(client, now)
        self._answer(self._flushings.advance(now=now, is_gone=lambda client: client.is_gone))

    def close(self) -> None:
        """Answer the clients that still wait, and remove the socket."""
        self._answer(self._flushings.close())
        self._clients.close()
        control_socket.remove(self._path, self._inode)

    def _begin(self, client: Client, now: float) -> None:
        request = _request_in(bytes(client.request))
        timeout_seconds = _timeout_of(request)
        if request.get("do") == "health":
            self._clients.answer(client, self._health())
        elif timeout_seconds is None:
            self._clients.answer(client, b'{"error": "not understood"}\n')
        else:
            requested_ns = self._wall_clock_ns()
            self._flushings.begin(client, timeout_seconds=timeout_seconds, now=now, requested_ns=requested_ns)

    def _health(self) -> bytes:
        outlets = self._bridge.outlets
        state = running_state(outlets.troubles, can_deliver=outlets.can_deliver)
        body = {"status": state, "troubles": outlets.troubles, **self._bridge.snapshot()._asdict()}
        return f"{json.dumps(body)}\n".encode()

    def _answer(self, ended: list[tuple[Client, dict[str, Any]]]) -> None:
        for client, answer in ended:
            self._clients.answer(client, f"{json.dumps(answer)}\n".encode())


def _request_in(line: bytes) -> dict[str, Any]:
    """Return the request of a line, empty if it has none."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return request if isinstance(request, dict) else {}


def _timeout_of(request: dict[str, Any]) -> float | None:
    """Return the timeout of a flush request, in seconds, or None if it is no such request."""
    if request.get("do") != "flush":
        return None
    seconds = request.get("timeout_seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_TIMEOUT_SECONDS:
        return None
    return float(seconds) if math.isfinite(seconds) else None
