"""Requests for the back end that wait in memory, in order and bounded: `Memory`."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(slots=True, eq=False)
class QueuedRequest:
    """An encoded request that waits."""

    request: bytes
    spans: int
    key: int | None = None
    """In the spool; None in memory."""
    tries: int = 0
    """How many deliveries may have reached the back end."""


class Memory:
    """Requests in order of their arrival. For one thread at a time."""

    def __init__(self, *, limit_bytes: int, limit_spans: int | None) -> None:
        """Begin empty; with ``limit_spans`` None only the bytes are bounded."""
        self._limit_bytes = limit_bytes
        self._limit_spans = limit_spans
        self._requests: deque[QueuedRequest] = deque()
        self._bytes = 0
        self._spans = 0
        self.pinned = 0
        """How many of the oldest are being delivered or moved to disk: they are not evicted."""

    def __len__(self) -> int:
        """Return how many requests wait."""
        return len(self._requests)

    @property
    def spans(self) -> int:
        """How many spans wait."""
        return self._spans

    def first(self, count: int) -> list[QueuedRequest]:
        """Return the oldest requests, in order."""
        return [self._requests[at] for at in range(min(count, len(self._requests)))]

    def pin(self, count: int) -> list[QueuedRequest]:
        """Return the oldest requests, which are not evicted until `unpin`; nothing is pinned before."""
        first = self.first(count)
        self.pinned = len(first)
        return first

    def unpin(self) -> None:
        """Let all requests be evicted again."""
        self.pinned = 0

    def fits(self, request: bytes, spans: int) -> bool:
        """Return whether a request could be kept if it were alone."""
        return self._is_within(len(request), spans)

    @property
    def is_half_empty(self) -> bool:
        """Whether twice as much would be within the bounds."""
        return self._is_within(2 * self._bytes, 2 * self._spans)

    def put(self, request: QueuedRequest) -> list[QueuedRequest]:
        """Keep a request and return those that it evicts: the oldest that are not pinned."""
        self._insert(len(self._requests), request)
        evicted = []
        while not self._is_within(self._bytes, self._spans) and len(self._requests) > self.pinned:
            evicted.append(self._requests[self.pinned])
            self.remove(evicted[-1:])
        return evicted

    def remove(self, requests: Iterable[QueuedRequest]) -> None:
        """Remove requests."""
        for request in requests:
            self._requests.remove(request)
            self._bytes -= len(request.request)
            self._spans -= request.spans

    def replace_first(self, halves: Sequence[tuple[bytes, int]]) -> None:
        """Put the halves of the oldest request, each with its number of spans, in its place; without any, remove it."""
        self.remove(self.first(1))
        for at, (request, spans) in enumerate(halves):
            self._insert(at, QueuedRequest(request, spans))

    def _insert(self, at: int, request: QueuedRequest) -> None:
        self._requests.insert(at, request)
        self._bytes += len(request.request)
        self._spans += request.spans

    def _is_within(self, size_bytes: int, spans: int) -> bool:
        return size_bytes <= self._limit_bytes and (self._limit_spans is None or spans <= self._limit_spans)
