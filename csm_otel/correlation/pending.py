"""The pending attempts of a group, indexed by their times: `PendingAttempts`."""

from __future__ import annotations

from bisect import bisect_left, insort
from itertools import takewhile
from typing import TYPE_CHECKING

from csm_otel.correlation.matching import END_MAY_OVERRUN, window_of

if TYPE_CHECKING:
    from csm_otel.correlation.released import Observed
    from csm_otel.csm.events import ApiCall, ApiCallAttempt

# How many attempts are checked for a call, backwards from its end and forwards from its start. More than threads reach
# the same point within milliseconds, including the attempts that other calls own; and a bound on the cost of each call
# under a flood of attempts without calls.
_MAX_BY_END, _MAX_BY_START = 256, 256


class PendingAttempts:
    """Attempts by key; keys increase in order of arrival."""

    def __init__(self) -> None:
        """Start empty."""
        self.by_key: dict[int, Observed[ApiCallAttempt]] = {}
        """All of them, in order of arrival. Only `add` and `remove` may change it."""
        self._last_indexed = -1
        """The key of the last one that is in the lists below: most attempts leave before any list is needed."""
        self._by_start: list[tuple[int, int, int]] = []
        """Start, key, end."""
        self._by_end: list[tuple[int, int, int]] = []
        """End, key, start."""
        self._timeless: list[int] = []

    def __len__(self) -> int:
        """Return how many attempts are pending."""
        return len(self.by_key)

    def __contains__(self, key: int) -> bool:
        """Whether an attempt is still pending."""
        return key in self.by_key

    def __getitem__(self, key: int) -> Observed[ApiCallAttempt]:
        """Return a pending attempt."""
        return self.by_key[key]

    def add(self, key: int, attempt: Observed[ApiCallAttempt]) -> None:
        """Add an attempt."""
        self.by_key[key] = attempt

    def remove(self, key: int) -> Observed[ApiCallAttempt]:
        """Remove an attempt and return it."""
        attempt = self.by_key.pop(key)
        if key > self._last_indexed:
            return attempt
        if attempt.event.not_sent:
            del self._timeless[bisect_left(self._timeless, key)]
            return attempt
        del self._by_start[bisect_left(self._by_start, (attempt.match_start_ns, key))]
        del self._by_end[bisect_left(self._by_end, (attempt.match_end_ns, key))]
        return attempt

    def _index(self) -> None:
        keys = list(takewhile(lambda key: key > self._last_indexed, reversed(self.by_key)))
        for key in reversed(keys):
            attempt = self.by_key[key]
            if attempt.event.not_sent:
                self._timeless.append(key)
            else:
                start_ns, end_ns = attempt.match_start_ns, attempt.match_end_ns
                insort(self._by_start, (start_ns, key, end_ns))
                insort(self._by_end, (end_ns, key, start_ns))
            self._last_indexed = key

    def eligible_for(self, call: Observed[ApiCall], *, after: int = -1) -> dict[int, Observed[ApiCallAttempt]]:
        """Return the attempts that fit a call, a bounded number, in order of arrival, with keys above ``after``."""
        self._index()
        earliest_start_ns, latest_start_ns, latest_end_ns = window_of(call)
        starts, ends = self._by_start, self._by_end
        first = bisect_left(starts, (earliest_start_ns,))
        limit = bisect_left(starts, (latest_start_ns + 1,))
        keys = [key for _, key, end_ns in starts[first : min(limit, first + _MAX_BY_START)] if end_ns <= latest_end_ns]
        if limit > first + _MAX_BY_START:  # else these are all that fit
            if call.event.dialect in END_MAY_OVERRUN:
                keys += [key for _, key, _ in starts[max(first, limit - _MAX_BY_END) : limit]]
            else:
                limit = bisect_left(ends, (latest_end_ns + 1,))
                keys += [
                    key
                    for _, key, start_ns in ends[max(0, limit - _MAX_BY_END) : limit]
                    if earliest_start_ns <= start_ns <= latest_start_ns
                ]
            keys = list(set(keys))
        keys += self._timeless[-_MAX_BY_END:]
        attempts = self.by_key
        return {key: attempts[key] for key in sorted(keys) if key > after}

    def latest(self) -> dict[int, Observed[ApiCallAttempt]]:
        """Return the attempts that ended last, a bounded number, in order of arrival."""
        self._index()
        return {key: self.by_key[key] for key in sorted(key for _, key, _ in self._by_end[-_MAX_BY_END:])}
