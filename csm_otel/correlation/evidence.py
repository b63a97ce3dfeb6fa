"""What speaks for an attempt being a certain call's: costs in nats, the negative logarithm of a likelihood.

Each cost is about one thing that both datagrams tell, and only differences between costs count. A gap that is usually
small and sometimes large (a thread that lost the processor) costs the logarithm of its size: the tails are those of a
power law, so that one great delay is likelier than two of half its size.

Where the thread of a call sends its datagrams itself (botocore, C++, PHP), the kernel's receive times are readings of
the sender's own clock between those in the datagrams, and finer: an attempt is *received* before its call reads its
end and before the next attempt reads its start. Wire times are whole milliseconds, cut off, so that the true instant
lies up to a millisecond later than told; an end that is a start plus a length measured apart, up to two.

Python's threads take turns: a thread goes on at once, or waits for the interpreter, about as long whether it has waited
already or not. So a gap of botocore's is one of two kinds, and of two that waited neither is to be preferred.

Source: csm-protocol.md 2.4, 3.1, 3.2 and 9; for the back-off, botocore's retries/standard.py and data/_retry.json.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import exp, log, log1p
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.csm.events import THROTTLING_ERRORS, Dialect
from csm_otel.csm.times import NS_PER_MS

if TYPE_CHECKING:
    from csm_otel.correlation.released import Observed
    from csm_otel.csm.events import ApiCall, ApiCallAttempt

# Densities fall with this power of the gap: among 32 threads of Python one gap in ten exceeds 4 ms, one in 1000 31 ms.
_TAIL = 2.25
_RECEIPTS_MS = 0.1  # what usually lies between an attempt's receipt and its call's
_QUEUED_RECEIPTS_MS = 0.3  # where a queue or an event loop comes in between
_REMOTE_RECEIPTS_MS = 1.0  # where a network does
# Between botocore's: the fastest is at once; among 8 to 32 threads three in ten wait, and one in ten while it prepares.
_AT_ONCE_MS = 0.07
_READINGS_MS = 0.3  # what usually lies between two clock readings, beyond what rounding explains
_PREPARED_MS = 1.0  # parameters are checked and signed between the start of the call and that of its first attempt
# Shares of those that wait, the power and the scale of their densities, in ms: among 32 threads most wait 1 to 6 ms,
# and one in a hundred 10 to 30. A thread is told to give way after 5 ms (sys.getswitchinterval).
_WAITS_TO_END = (0.3, 3, 5.0)
_WAITS_TO_BEGIN = (0.1, 6, 20.0)
_EARLY = 5.0  # a start before the call's own, read off the same clock, is more than unusual

# An effect seen before its cause, per ms and at most: impossible, but for receive times that were read late.
_REVERSED_PER_MS = 20.0
_REVERSED = 8.0

# botocore sleeps rand * 50 ms * 2^i after an error (25 for DynamoDB), rand * 1 s * 2^i when throttled, 20 s at most;
# before release 1.44 rand * 1 s * 2^i after either. In legacy mode as well, but for DynamoDB, whose errors are followed
# by exactly 50 ms * 2^i.
_SHORT_BACK_OFF_MS = 50.0
_DYNAMODB_BACK_OFF_MS = 25.0
_LONG_BACK_OFF_MS = 1000.0
_LONGEST_BACK_OFF_MS = 20_000.0
_LEGACY_BACK_OFF_MS = 50.0
_SHORT_SINCE = (1, 44)
_BOTOCORE = re.compile(r"[Bb]otocore[/#](\d+)\.(\d+)")
_DYNAMODB = frozenset({"DynamoDB", "DynamoDB Streams"})
# Spread over 1000 ms a back-off is less likely by 3 nats at each ms than over 50; and an attempt with a long one before
# it is likelier to be still waiting for the next, with a call that has not come.
_LONG_BACK_OFF = 7.0  # where nothing else is known
_STILL_WAITING = 2.0
_FAILS_AGAIN = 0.15  # of tries that follow a failure, so that a call is not there yet though its back-off is over
_MODE = "cfg/retry-mode#"
_LEGACY = "cfg/retry-mode#legacy"
_WAKE_MS = 2.0  # by how much a sleep overruns
_LATE_MS = 5.0  # and what more is usual of a thread that waits for the interpreter;
_LATE_POWER = 4.0
_MOST_DOUBLINGS = 10

# The thread of the call sends, and goes on when it has sent.
_SENDS_ITSELF = frozenset({Dialect.BOTOCORE, Dialect.CPP, Dialect.PHP})
# The length is the difference of two readings cut to milliseconds, so that start + length is the second reading.
_EXACT_ENDS = frozenset({Dialect.BOTOCORE, Dialect.PHP})
# The others take the two starts at one place, or (Go) have no start of their own but the end less the length.
_PREPARES = frozenset({Dialect.BOTOCORE, Dialect.DOTNET, Dialect.JAVA, Dialect.PHP, Dialect.RUBY, Dialect.UNKNOWN})


def first_cost(attempt: Observed[ApiCallAttempt], call: Observed[ApiCall]) -> float:
    """Return what the gap between the start of a call and that of its first attempt costs."""
    gap_ms = (attempt.match_start_ns - call.match_start_ns) / NS_PER_MS
    if call.event.dialect is Dialect.GO:
        return _gap_cost(abs(gap_ms), _READINGS_MS)
    if gap_ms < 0:
        return _EARLY + _gap_cost(-gap_ms, _READINGS_MS)
    if call.event.dialect is Dialect.BOTOCORE:
        return _turn_cost(gap_ms - _PREPARED_MS, _READINGS_MS, *_WAITS_TO_BEGIN)
    return _gap_cost(gap_ms - (_PREPARED_MS if call.event.dialect in _PREPARES else 0.0), _READINGS_MS)


def last_cost(attempt: Observed[ApiCallAttempt], call: Observed[ApiCall]) -> float:
    """Return what the gaps between the ends of a call and its last attempt, and between their receipts, cost."""
    receipts_ms = abs(call.received_ns - attempt.received_ns) / NS_PER_MS
    if call.peer.is_loopback and call.event.dialect in _SENDS_ITSELF:
        # The gap between the ends would tell the same again, and less exactly.
        end_ns = call.match_end_ns + (1 if call.event.dialect in _EXACT_ENDS else 2) * NS_PER_MS
        if call.event.dialect is Dialect.BOTOCORE:
            cost = _turn_cost(receipts_ms, _AT_ONCE_MS, *_WAITS_TO_END)
        else:
            cost = _gap_cost(receipts_ms, _RECEIPTS_MS)
        return cost + _order_cost(attempt.received_ns, end_ns)
    ends_ms = abs(call.match_end_ns - attempt.match_end_ns) / NS_PER_MS
    usual_ms = _QUEUED_RECEIPTS_MS if call.peer.is_loopback else _REMOTE_RECEIPTS_MS
    return _gap_cost(receipts_ms, usual_ms) + _gap_cost(ends_ms - 1.0, _READINGS_MS)


def retry_cost(
    attempt: Observed[ApiCallAttempt], successor: Observed[ApiCallAttempt], call: Observed[ApiCall], *, number: int
) -> float:
    """Return what it costs that ``successor`` followed an attempt, the ``number``-th of its call, counted from 0."""
    if attempt.event.dialect is not Dialect.BOTOCORE:
        return 0.0  # the others' back-offs are settings of their own
    back_off_ms = (successor.match_start_ns - attempt.match_end_ns) / NS_PER_MS
    # Another call's next try would have been over by now if it took as long as this one and its back-off none
    spare_ms = (call.match_end_ns - attempt.match_end_ns - (attempt.match_end_ns - attempt.match_start_ns)) / NS_PER_MS
    cost = _back_off_cost(attempt.event, back_off_ms, spare_ms, 2.0 ** min(number, _MOST_DOUBLINGS))
    if attempt.peer.is_loopback:
        cost += _order_cost(attempt.received_ns, successor.match_start_ns + NS_PER_MS)
    return cost


class _BackOffs(NamedTuple):
    """How long a sender sleeps before its first retry, in ms: at most, or exactly."""

    after_error_ms: float
    when_throttled_ms: float
    is_exact: bool = False


@lru_cache(maxsize=1024)
def _back_offs_of(user_agent: str, service: str) -> _BackOffs | None:
    """Return the back-offs of a sender, or None if its user agent does not tell."""
    version = _BOTOCORE.search(user_agent)
    if _LEGACY in user_agent:
        if service in _DYNAMODB:
            return _BackOffs(_LEGACY_BACK_OFF_MS, _LEGACY_BACK_OFF_MS, is_exact=True)
    elif version is None or _MODE not in user_agent:
        return None
    elif (int(version[1]), int(version[2])) >= _SHORT_SINCE:
        return _BackOffs(_DYNAMODB_BACK_OFF_MS if service in _DYNAMODB else _SHORT_BACK_OFF_MS, _LONG_BACK_OFF_MS)
    return _BackOffs(_LONG_BACK_OFF_MS, _LONG_BACK_OFF_MS)


def _back_off_cost(event: ApiCallAttempt, back_off_ms: float, spare_ms: float, scale: float) -> float:
    is_throttled = event.aws_exception is not None and event.aws_exception.name in THROTTLING_ERRORS
    back_offs = _back_offs_of(event.user_agent or "", event.service)
    if back_offs is None:
        if back_off_ms <= _SHORT_BACK_OFF_MS * scale and not is_throttled:
            return 0.0
        return _LONG_BACK_OFF + _gap_cost(back_off_ms - _LONG_BACK_OFF_MS * scale, _LONG_BACK_OFF_MS)
    longest_ms = (back_offs.when_throttled_ms if is_throttled else back_offs.after_error_ms) * scale
    if back_offs.is_exact:
        late_ms = back_off_ms - longest_ms
        return _gap_cost(late_ms - _WAKE_MS, 1.0) if late_ms >= 0 else _EARLY + _gap_cost(-late_ms, 1.0)
    longest_ms = min(longest_ms, _LONGEST_BACK_OFF_MS)
    cost = log(longest_ms / _DYNAMODB_BACK_OFF_MS) + _late_cost(back_off_ms - longest_ms - _WAKE_MS)
    if longest_ms >= _LONG_BACK_OFF_MS:
        cost += _STILL_WAITING
    still_sleeps = 1.0 - min(1.0, max(0.0, spare_ms / longest_ms))
    return cost + log((_FAILS_AGAIN + (1.0 - _FAILS_AGAIN) * still_sleeps) / _FAILS_AGAIN)  # never below 0


def _late_cost(late_ms: float) -> float:
    return _LATE_POWER * log1p(late_ms / _LATE_MS) if late_ms > 0 else 0.0


def _turn_cost(gap_ms: float, usual_ms: float, waits: float, power: int, scale_ms: float) -> float:
    """Return what a gap costs in which a thread goes on at once, or ``waits`` with some probability."""
    gap_ms = max(0.0, gap_ms)
    at_once, waited = (1 - waits) / usual_ms, waits * (power - 1) / scale_ms
    density = at_once * exp(-gap_ms / usual_ms) + waited * (1 + gap_ms / scale_ms) ** -power
    return log((at_once + waited) / density)


def _gap_cost(gap_ms: float, usual_ms: float) -> float:
    return _TAIL * log1p(gap_ms / usual_ms) if gap_ms > 0 else 0.0


def _order_cost(cause_ns: int, effect_ns: int) -> float:
    return min(max(0.0, (cause_ns - effect_ns) / NS_PER_MS * _REVERSED_PER_MS), _REVERSED)
