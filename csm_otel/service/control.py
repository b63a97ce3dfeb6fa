"""The daemon's side of the control socket: `Control`.

The protocol: a client connects, says one line of JSON, and gets one line of JSON, whereupon both hang up.

    {"do": "flush", "timeout_seconds": 10}
    {"delivered": true, "why_not": "", "datagrams_received": 12, ... the counts of `csm_otel.tally.Snapshot`}

``delivered`` tells whether everything that had arrived by then was taken by where it goes, within the time that the
client gave. A line that is not understood gets ``{"error": "..."}``. A client that takes its time is sent away; where
one hangs up, its flush is given up.
"""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Self

from csm_otel.service import control_socket
from csm_otel.service.clients import Client, Clients
from csm_otel.service.flushing import Flushing

if TYPE_CHECKING:
    from pathlib import Path

    from csm_otel.engine.bridge import Bridge

LONGEST_SECONDS = 3600.0
_LOOK_SECONDS = 0.02  # how often it is looked whether the back end has what was sent off


class Control:
    """Answers clients; belongs to the loop, see `csm_otel.engine.agent.Service`."""

    def __init__(self, clients: Clients, path: Path, bridge: Bridge) -> None:
        """Take over the clients of the socket at ``path``."""
        self._clients = clients
        self._path = path
        self._inode = path.lstat().st_ino
        self._bridge = bridge
        self._flushings: list[tuple[Client, Flushing]] = []
        self._next_look = 0.0

    @classmethod
    def open(cls, path: Path, bridge: Bridge) -> Self:
        """Listen at ``path``.

        Raises:
            ControlError: it cannot be listened there.
        """
        return cls(Clients(control_socket.open_control_socket(path), end=b"\n"), path, bridge)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when a client says something."""
        return self._clients.fileno()

    def next_deadline(self) -> float | None:
        """Return when there is something to be done in any case, in monotonic seconds."""
        deadlines = (self._clients.next_deadline(), self._next_look if self._flushings else None)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def poll(self, *, now: float) -> None:
        """Hear clients, go on with what they asked for, and answer."""
        for client in self._clients.wait(0):
            self._begin(client, now)
        for client, flushing in list(self._flushings):
            why_not = "" if client.is_gone else flushing.advance(now=time.monotonic())
            if why_not is not None:
                self._flushings.remove((client, flushing))
                self._tell(client, why_not)
        is_waiting = all(flushing.is_waiting for _, flushing in self._flushings)
        self._next_look = now + _LOOK_SECONDS if is_waiting else now

    def close(self) -> None:
        """Tell those who wait that it is over, and remove the socket."""
        for client, _ in self._flushings:
            self._tell(client, "the daemon is being stopped")
        self._clients.close()
        control_socket.remove(self._path, self._inode)

    def _begin(self, client: Client, now: float) -> None:
        timeout_seconds = _asked_timeout(bytes(client.said))
        if timeout_seconds is None:
            self._clients.answer(client, b'{"error": "not understood"}\n')
        else:
            flushing = Flushing(self._bridge, timeout_seconds=timeout_seconds, now=now)
            self._flushings.append((client, flushing))

    def _tell(self, client: Client, why_not: str) -> None:
        answer = {"delivered": not why_not, "why_not": why_not, **self._bridge.snapshot()._asdict()}
        self._clients.answer(client, f"{json.dumps(answer)}\n".encode())


def _asked_timeout(line: bytes) -> float | None:
    """Return how long the flush that a client asks for may take, or None where it asks for nothing of the kind."""
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(asked, dict) or asked.get("do") != "flush":
        return None
    seconds = asked.get("timeout_seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= LONGEST_SECONDS:
        return None
    return float(seconds) if math.isfinite(seconds) else None
