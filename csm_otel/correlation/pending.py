"""The attempts of a group that wait for their calls, found by their times: `PendingAttempts`."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

from csm_otel.correlation.matching import END_MAY_OVERRUN, fits, slack_ns, start_is_known

if TYPE_CHECKING:
    from csm_otel.correlation.released import Observed
    from csm_otel.csm.events import ApiCall, ApiCallAttempt

# How many attempts a call looks at, from its end backwards and from its start forwards: more than threads come to the
# same point within milliseconds, those included that calls hold already, and a bound on what each call costs under a
# flood of attempts without calls.
_AT_THE_END, _AT_THE_START = 256, 256


class PendingAttempts:
    """Attempts by their keys; a greater key arrived later."""

    def __init__(self) -> None:
        """Begin empty."""
        self._attempts: dict[int, Observed[ApiCallAttempt]] = {}
        self._by_start: list[tuple[int, int]] = []
        self._by_end: list[tuple[int, int]] = []
        self._timeless: list[int] = []

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._attempts)

    def __contains__(self, key: int) -> bool:
        """Whether an attempt still waits."""
        return key in self._attempts

    def __getitem__(self, key: int) -> Observed[ApiCallAttempt]:
        """Return an attempt that waits."""
        return self._attempts[key]

    def add(self, key: int, attempt: Observed[ApiCallAttempt]) -> None:
        """Keep an attempt."""
        self._attempts[key] = attempt
        if attempt.event.not_sent:
            self._timeless.append(key)
            return
        insort(self._by_start, (attempt.match_start_ns, key))
        insort(self._by_end, (attempt.match_end_ns, key))

    def remove(self, key: int) -> Observed[ApiCallAttempt]:
        """Forget an attempt and return it."""
        attempt = self._attempts.pop(key)
        if attempt.event.not_sent:
            del self._timeless[bisect_left(self._timeless, key)]
            return attempt
        del self._by_start[bisect_left(self._by_start, (attempt.match_start_ns, key))]
        del self._by_end[bisect_left(self._by_end, (attempt.match_end_ns, key))]
        return attempt

    def candidates(self, call: Observed[ApiCall], *, behind: int = -1) -> dict[int, Observed[ApiCallAttempt]]:
        """Return those that fit a call, as many as it looks at, in order of arrival, behind a key."""
        slack = slack_ns(call.event.dialect)
        starts, ends = self._by_start, self._by_end
        begin, until, after = 0, len(starts), len(ends)
        if start_is_known(call) or call.event.latency_ms is not None:
            begin = bisect_left(starts, (call.match_start_ns - slack, 0))
        if call.event.latency_ms is not None:
            until = bisect_left(starts, (call.match_end_ns + slack + 1, 0))
            after = bisect_left(ends, (call.match_end_ns + slack + 1, 0))
        keys = {key for _, key in starts[begin : min(until, begin + _AT_THE_START)]}
        if call.event.dialect in END_MAY_OVERRUN:
            keys.update(key for _, key in starts[max(begin, until - _AT_THE_END) : until])
        else:
            keys.update(key for _, key in ends[max(0, after - _AT_THE_END) : after])
        keys.update(self._timeless[-_AT_THE_END:])
        return {key: attempt for key in sorted(keys) if key > behind and fits(attempt := self._attempts[key], call)}

    def latest(self) -> dict[int, Observed[ApiCallAttempt]]:
        """Return those that ended last, as many as a call looks at, in order of arrival."""
        return {key: self._attempts[key] for key in sorted(key for _, key in self._by_end[-_AT_THE_END:])}
