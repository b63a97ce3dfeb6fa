"""A bounded collection of calls, for a list of them: `Calls`."""

from __future__ import annotations

from collections import deque
from itertools import chain
from typing import TYPE_CHECKING

from csm_otel.summary.trace import Call, is_call_or_orphan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from csm_otel.spans.data import SpanData

_MAX_CALLS = 100_000  # some 100 MB, of a run that makes so many
_MAX_LATER = 1_000
_MAX_ROOTS = 1_000


class Calls:
    """The first calls, and after them the latest that failed. Iterating yields them in order of their arrival."""

    def __init__(self, *, max_calls: int = _MAX_CALLS, max_later: int = _MAX_LATER) -> None:
        self._max_calls = max_calls
        self._first: list[Call] = []
        self._later: deque[Call] = deque(maxlen=max_later)
        self.roots: list[SpanData] = []
        """The first 1,000 spans of commands and processes."""

    def add(self, spans: Sequence[SpanData]) -> None:
        """Add a call followed by its attempts, an attempt without its call, or the span of a command or process."""
        span, *attempts = spans
        if not is_call_or_orphan(span):
            self.roots += [span][: _MAX_ROOTS - len(self.roots)]
            return
        call = Call(span=span, attempts=tuple(sorted(attempts, key=lambda attempt: attempt.start_ns)))
        if len(self._first) < self._max_calls:
            self._first.append(call)
        elif span.is_error:
            self._later.append(call)

    def __iter__(self) -> Iterator[Call]:
        """Yield what is kept."""
        return chain(self._first, self._later)
