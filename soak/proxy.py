"""A failing network: `FaultyProxy`, a TCP proxy that cuts, resets and stalls."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import struct
import threading
from collections import Counter
from typing import Self

_POLL_SECONDS = 0.05
_PIECE_BYTES = 65_536
# The percentage of connections, pieces of a request and answers with each fault.
_RESET_AT_ONCE = 15
_CUT_IN_REQUEST = 5
_ANSWERS = ("cut the answer",) * 15 + ("reset the answer",) * 10 + ("stall",) * 5
_HUNDRED = 100


class FaultyProxy:
    """Forwards connections to a port of this machine, with faults until `heal`.

    Args:
        to_port: The back end's port.
        stall_seconds: How long a withheld answer is waited for: longer than the client's timeout.
        seed: The seed of the random faults.
    """

    def __init__(self, to_port: int, *, stall_seconds: float, seed: int = 1) -> None:
        self._to_port = to_port
        self._stall_seconds = stall_seconds
        self._rng = random.Random(seed)
        self._is_over = threading.Event()
        self._is_healed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_POLL_SECONDS)
        self._threads: list[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self.faults: Counter[str] = Counter()
        """The number of each fault caused."""

    def __enter__(self) -> Self:
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in (self._accepting, *self._threads):
            thread.join()
        self._listener.close()

    def heal(self) -> None:
        """Forward everything from now on."""
        self._is_healed.set()

    def _accept(self) -> None:
        while not self._is_over.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._listener.accept()
                self._threads = [thread for thread in self._threads if thread.is_alive()]
                self._threads.append(threading.Thread(target=self._serve, args=(client,), daemon=True))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            if self._happens(_RESET_AT_ONCE, "reset the connection"):
                _reset(client)
                return
            with socket.create_connection(("127.0.0.1", self._to_port)) as server:
                while not self._is_over.is_set() and self._forward(client, server):
                    continue

    def _forward(self, client: socket.socket, server: socket.socket) -> bool:
        """Forward available bytes, and return whether there may be more."""
        readable, _, _ = select.select([client, server], [], [], _POLL_SECONDS)
        if client in readable:
            piece = client.recv(_PIECE_BYTES)
            if not piece:
                return False
            if self._happens(_CUT_IN_REQUEST, "cut the request"):
                server.sendall(piece[: len(piece) // 2])
                return False
            server.sendall(piece)
        if server in readable:
            piece = server.recv(_PIECE_BYTES)
            return bool(piece) and self._answer(client, piece)
        return True

    def _answer(self, client: socket.socket, piece: bytes) -> bool:
        at = self._rng.randrange(_HUNDRED)
        if self._is_healed.is_set() or at >= len(_ANSWERS):
            client.sendall(piece)
            return True
        self.faults[_ANSWERS[at]] += 1
        if _ANSWERS[at] == "stall":
            self._is_over.wait(self._stall_seconds)
        elif _ANSWERS[at] == "reset the answer":
            _reset(client)
        return False

    def _happens(self, in_a_hundred: int, fault: str) -> bool:
        if self._is_healed.is_set() or self._rng.randrange(_HUNDRED) >= in_a_hundred:
            return False
        self.faults[fault] += 1
        return True


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
