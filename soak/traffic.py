"""Senders' datagrams: calls with their attempts at a steady rate, large ones, and damaged ones."""

from __future__ import annotations

import random
import socket
import time
from functools import partial
from typing import TYPE_CHECKING

from datagrams import attempt, call
from lossless import wait_until_read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Address = tuple[str, int]

_PLACE_MS = 1_111_111_111_111
_PLACE_API = "PlaceOfApi"
_ATTEMPT = attempt(Timestamp=_PLACE_MS, Api=_PLACE_API, AttemptLatency=10)
_CALL = call(Timestamp=_PLACE_MS, Api=_PLACE_API, Latency=60)
_TICK_SECONDS = 0.01
_WATCH_SECONDS = 0.2
_AT_A_TIME = 50
_MOST_WAITING_BYTES = 100_000  # a fraction of Linux's default buffer, so that nothing is lost
_SOCKETS = 16


def datagram(number: int, *, size: int = 0) -> bytes:
    """Return a datagram as sent by botocore: the even ones are attempts, each of the call after it."""
    is_call = number % 2
    now_ms = time.time_ns() // 1_000_000 - (65 if is_call else 20)
    template = _CALL if is_call else _ATTEMPT
    payload = template.replace(_PLACE_API.encode(), b"Call%d" % (number // 2)).replace(
        str(_PLACE_MS).encode(), str(now_ms).encode()
    )
    missing = size - len(payload)
    return payload if missing <= 0 else payload.replace(b'"UserAgent":"', b'"UserAgent":"' + b"x" * missing, 1)


def name_of(number: int) -> str:
    """Return the name of a datagram's span."""
    return f"S3.Call{number // 2}" + ("" if number % 2 else " attempt")


def names_of(count: int) -> set[str]:
    """Return the names of the spans of so many datagrams."""
    return {name_of(number) for number in range(count)}


def send(
    address: Address,
    count: int,
    *,
    per_second: float,
    size: int = 0,
    payload_of: Callable[[int], bytes] | None = None,
    as_read: bool = False,
    watch: Callable[[], None] = lambda: None,
    until: Callable[[], bool] = lambda: False,
) -> int:
    """Send datagrams at a steady pace and return how many, fewer than ``count`` where ``until()`` came true.

    They are CSM's unless ``payload_of`` returns others. With ``as_read`` it waits for a busy receiver. ``watch`` is
    called at intervals.
    """
    payload_of = payload_of or partial(datagram, size=size)
    began = watched = time.monotonic()
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        while sent < count and not until():
            # in pairs: an attempt whose call is late would stay pending for a quarter of an hour
            due = min(count, 2 * int((time.monotonic() - began) * per_second / 2 + 1))
            for number in range(sent, due):
                if as_read and number % _AT_A_TIME == 0:
                    wait_until_read(address[1], but_for_bytes=_MOST_WAITING_BYTES)
                sock.sendto(payload_of(number), address)
            sent = due
            if time.monotonic() - watched > _WATCH_SECONDS:
                watch()
                watched = time.monotonic()
            time.sleep(_TICK_SECONDS)
    return sent


def send_as_read(address: Address, payloads: Iterator[bytes], *, watch: Callable[[], None]) -> int:
    """Send as fast as the daemon reads, from several sockets, and return how many; ``watch`` is called at intervals.

    Raises:
        TimeoutError: the daemon has stopped reading.
    """
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(_SOCKETS)]
    sent = 0
    try:
        for payload in payloads:
            sockets[sent % _SOCKETS].sendto(payload, address)
            sent += 1
            if sent % _AT_A_TIME == 0:
                wait_until_read(address[1], but_for_bytes=_MOST_WAITING_BYTES)
                watch()
    finally:
        for sock in sockets:
            sock.close()
    return sent


def damaged(samples: Sequence[bytes], count: int, *, seed: int = 1) -> Iterator[bytes]:
    """Yield datagrams of real senders, each damaged: bytes changed, cut out, doubled, or two joined."""
    rng = random.Random(seed)
    for _ in range(count):
        payload = bytearray(rng.choice(samples))
        for _ in range(rng.randrange(1, 4)):
            at = rng.randrange(len(payload) + 1)
            kind = rng.randrange(7)
            if kind == 0:
                payload[at : at + 1] = rng.randbytes(1)
            elif kind == 1:
                del payload[at : at + rng.randrange(60)]
            elif kind == 2:
                payload[at:at] = payload[at : at + rng.randrange(60)]
            elif kind == 3:
                payload += rng.choice(samples)
            elif kind == 4:
                payload[at:at] = rng.choice(
                    (b"{", b"[" * 40, b'"', b"\\u0000", b"\n", b"\xef\xbb\xbf", b"1e999", b"NaN")
                )
            elif kind == 5:
                payload[at : at + 8] = str(rng.randrange(-(10**9), 10**15)).encode()
            else:
                payload = payload[: rng.randrange(len(payload) + 1)]
        yield bytes(payload[:60_000])
