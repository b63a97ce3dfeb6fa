"""What waits for the back end, in memory: `Memory`, in order and bounded."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(slots=True, eq=False)
class Waiting:
    """A request that waits."""

    request: bytes
    spans: int
    key: int | None = None
    """In the spool; None in memory."""
    tries: int = 0
    """How many deliveries may have reached the back end."""


class Memory:
    """Requests in order of their arrival; for one thread at a time."""

    def __init__(self, *, limit_bytes: int, limit_spans: int | None) -> None:
        """Begin empty; ``limit_spans`` None: only the bytes are bounded."""
        self._limit_bytes = limit_bytes
        self._limit_spans = limit_spans
        self._waiting: deque[Waiting] = deque()
        self._bytes = 0
        self._spans = 0
        self.taken = 0
        """How many of the first somebody has in hand, to deliver or to move them: they are not pushed out."""

    def __len__(self) -> int:
        """Return how many requests wait."""
        return len(self._waiting)

    def first(self, count: int) -> list[Waiting]:
        """Return the requests that have waited longest, the longest first."""
        return [self._waiting[at] for at in range(min(count, len(self._waiting)))]

    def take(self, count: int) -> list[Waiting]:
        """Return the first requests, and have them taken until `give_back`; nothing is taken now."""
        first = self.first(count)
        self.taken = len(first)
        return first

    def give_back(self) -> None:
        """Have nothing taken any more."""
        self.taken = 0

    def fits(self, request: bytes, spans: int) -> bool:
        """Return whether a request could be kept, were it alone."""
        return self._is_within(len(request), spans)

    @property
    def is_half_empty(self) -> bool:
        """Whether twice as much would be within the bounds."""
        return self._is_within(2 * self._bytes, 2 * self._spans)

    def put(self, waiting: Waiting) -> list[Waiting]:
        """Keep a request and return those that it pushes out: the oldest that are not taken."""
        self._insert(len(self._waiting), waiting)
        pushed_out = []
        while not self._is_within(self._bytes, self._spans) and len(self._waiting) > self.taken:
            pushed_out.append(self._waiting[self.taken])
            self.forget(pushed_out[-1:])
        return pushed_out

    def forget(self, gone: Iterable[Waiting]) -> None:
        """Take requests out."""
        for waiting in gone:
            self._waiting.remove(waiting)
            self._bytes -= len(waiting.request)
            self._spans -= waiting.spans

    def replace_first(self, halves: Sequence[tuple[bytes, int]]) -> None:
        """Put the halves of the first request, each with its number of spans, in its place."""
        self.forget(self.first(1))
        for at, (request, spans) in enumerate(halves):
            self._insert(at, Waiting(request, spans))

    def _insert(self, at: int, waiting: Waiting) -> None:
        self._waiting.insert(at, waiting)
        self._bytes += len(waiting.request)
        self._spans += waiting.spans

    def _is_within(self, size_bytes: int, spans: int) -> bool:
        return size_bytes <= self._limit_bytes and (self._limit_spans is None or spans <= self._limit_spans)
