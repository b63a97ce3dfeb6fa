"""How likely an attempt belongs to a call: costs, negative log-likelihoods in nats up to a constant.

Each cost evaluates one gap between times of the two datagrams. A gap that is usually small and sometimes large (a
preempted thread) costs the logarithm of its size: the distribution has a power-law tail, so that one long delay is
likelier than two of half its length.

Where the thread of a call sends its own datagrams (botocore, C++, PHP), the kernel's receive times are readings of the
sender's clock in between those in the datagrams, and more precise: an attempt is *received* before its call reads its
end, and before the next attempt reads its start. Wire times are truncated to milliseconds, so that the true time is up
to a millisecond later; an end that is a start plus a separately measured length, up to two.

Python's threads compete for the interpreter lock: a thread continues at once, or waits, about as long whether it has
waited already or not. So a gap of botocore's has a mixture of two distributions, and two that waited cost nearly the
same.

Source: the SDKs' own code, as botocore's monitoring.py, and the recordings in tests/conformance/captured; for the
backoff, botocore's retries/standard.py and data/_retry.json.
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
_TAIL_EXPONENT = 2.25
# Usual gaps between the receipts of an attempt and its call: directly, by way of a queue or event loop, over a network.
_RECEIPTS_MS = 0.1
_QUEUED_RECEIPTS_MS = 0.3
_REMOTE_RECEIPTS_MS = 1.0
_BOTOCORE_RECEIPTS_MS = 0.07  # of threads that do not wait
_READINGS_MS = 0.3  # the usual gap between two clock readings, beyond truncation
_PREPARATION_MS = 1.0  # parameters are validated and signed between the start of the call and of its first attempt
# Share of the waiting threads, exponent and scale (ms) of the density of their waits, at the end of a call and at its
# start: among 32 threads most wait 1 to 6 ms, and one in a hundred 10 to 30. The interpreter switches after 5 ms.
_WAITS_AT_END = (0.3, 3, 5.0)
_WAITS_AT_START = (0.1, 6, 20.0)
_EARLY_COST = 5.0  # of a start before the call's own by the same clock

# An effect observed before its cause, per ms and at most: impossible, except for receive times that were read late.
_REVERSED_COST_PER_MS = 20.0
_MAX_REVERSED_COST = 8.0

# botocore sleeps rand * 50 ms * 2^i after an error (25 for DynamoDB), rand * 1 s * 2^i when throttled, 20 s at most;
# before release 1.44 rand * 1 s * 2^i after either. Legacy mode does that too, but sleeps exactly 50 ms * 2^i for
# DynamoDB.
_SHORT_BACKOFF_MS = 50.0
_DYNAMODB_BACKOFF_MS = 25.0
_LONG_BACKOFF_MS = 1000.0
_MAX_BACKOFF_MS = 20_000.0
_LEGACY_BACKOFF_MS = 50.0
_SHORT_BACKOFF_SINCE = (1, 44)
_BOTOCORE = re.compile(r"[Bb]otocore[/#](\d+)\.(\d+)")
_DYNAMODB = frozenset({"DynamoDB", "DynamoDB Streams"})
# A backoff uniform over 1000 ms has a density 3 nats lower than one over 50 ms. And an attempt in a long backoff
# probably belongs to a call that has not arrived, as it is still waiting for its next attempt.
_LONG_BACKOFF_COST = 7.0  # of a sender whose backoff is unknown
_STILL_WAITING_COST = 2.0
_FAILURE_RATE = 0.15  # of attempts after a failed one: why a call may not have arrived though its backoff is over
_RETRY_MODE = "cfg/retry-mode#"
_LEGACY_MODE = "cfg/retry-mode#legacy"
_OVERSLEEP_MS = 2.0
_LATE_MS = 5.0  # usual further delay of a thread that waits for the interpreter
_LATE_EXPONENT = 4.0
_MAX_DOUBLINGS = 10

# The thread of the call sends its datagrams and continues after that.
_SENDS_ITSELF = frozenset({Dialect.BOTOCORE, Dialect.CPP, Dialect.PHP})
# The length is the difference of two truncated readings, so that start + length is the second one.
_EXACT_ENDS = frozenset({Dialect.BOTOCORE, Dialect.PHP})
# The others read both starts at the same point, or (Go) compute them from the end and the length.
_PREPARES_FIRST = frozenset(
    {Dialect.BOTOCORE, Dialect.DOTNET, Dialect.JAVA, Dialect.PHP, Dialect.RUBY, Dialect.UNKNOWN}
)


def first_cost(attempt: Observed[ApiCallAttempt], call: Observed[ApiCall]) -> float:
    """Return the cost of the gap between the starts of a call and of its first attempt."""
    gap_ms = (attempt.match_start_ns - call.match_start_ns) / NS_PER_MS
    if call.event.dialect is Dialect.GO:
        return _gap_cost(abs(gap_ms), _READINGS_MS)
    if gap_ms < 0:
        return _EARLY_COST + _gap_cost(-gap_ms, _READINGS_MS)
    if call.event.dialect is Dialect.BOTOCORE:
        return _contended_cost(gap_ms - _PREPARATION_MS, _READINGS_MS, *_WAITS_AT_START)
    return _gap_cost(gap_ms - (_PREPARATION_MS if call.event.dialect in _PREPARES_FIRST else 0.0), _READINGS_MS)


def last_cost(attempt: Observed[ApiCallAttempt], call: Observed[ApiCall]) -> float:
    """Return the cost of the gaps between the ends of a call and its last attempt, and between their receipts."""
    receipts_ms = abs(call.received_ns - attempt.received_ns) / NS_PER_MS
    if call.peer.is_loopback and call.event.dialect in _SENDS_ITSELF:
        # The gap between the ends is the same again, less precise.
        end_ns = call.match_end_ns + (1 if call.event.dialect in _EXACT_ENDS else 2) * NS_PER_MS
        if call.event.dialect is Dialect.BOTOCORE:
            cost = _contended_cost(receipts_ms, _BOTOCORE_RECEIPTS_MS, *_WAITS_AT_END)
        else:
            cost = _gap_cost(receipts_ms, _RECEIPTS_MS)
        return cost + _reversed_cost(attempt.received_ns, end_ns)
    ends_ms = abs(call.match_end_ns - attempt.match_end_ns) / NS_PER_MS
    usual_ms = _QUEUED_RECEIPTS_MS if call.peer.is_loopback else _REMOTE_RECEIPTS_MS
    return _gap_cost(receipts_ms, usual_ms) + _gap_cost(ends_ms - 1.0, _READINGS_MS)


def retry_cost(
    attempt: Observed[ApiCallAttempt], successor: Observed[ApiCallAttempt], call: Observed[ApiCall], *, number: int
) -> float:
    """Return the cost of ``successor`` as the next one after an attempt, the ``number``-th of its call from 0."""
    if attempt.event.dialect is not Dialect.BOTOCORE:
        return 0.0  # the backoffs of other SDKs are unknown settings
    backoff_ms = (successor.match_start_ns - attempt.match_end_ns) / NS_PER_MS
    # If the attempt were another call's: the longest backoff after which its next attempt, of the same length, would
    # be over by now
    spare_ms = (call.match_end_ns - attempt.match_end_ns - (attempt.match_end_ns - attempt.match_start_ns)) / NS_PER_MS
    cost = _backoff_cost(attempt.event, backoff_ms, spare_ms, 2.0 ** min(number, _MAX_DOUBLINGS))
    if attempt.peer.is_loopback:
        cost += _reversed_cost(attempt.received_ns, successor.match_start_ns + NS_PER_MS)
    return cost


class _Backoffs(NamedTuple):
    """The backoff of a sender before its first retry, in ms: the maximum, or the exact value."""

    after_error_ms: float
    when_throttled_ms: float
    is_exact: bool = False


@lru_cache(maxsize=1024)
def _backoffs_of(user_agent: str, service: str) -> _Backoffs | None:
    """Return the backoffs of a sender, or None if its user agent does not reveal them."""
    version = _BOTOCORE.search(user_agent)
    if _LEGACY_MODE in user_agent:
        if service in _DYNAMODB:
            return _Backoffs(_LEGACY_BACKOFF_MS, _LEGACY_BACKOFF_MS, is_exact=True)
    elif version is None or _RETRY_MODE not in user_agent:
        return None
    elif (int(version[1]), int(version[2])) >= _SHORT_BACKOFF_SINCE:
        return _Backoffs(_DYNAMODB_BACKOFF_MS if service in _DYNAMODB else _SHORT_BACKOFF_MS, _LONG_BACKOFF_MS)
    return _Backoffs(_LONG_BACKOFF_MS, _LONG_BACKOFF_MS)


def _backoff_cost(event: ApiCallAttempt, backoff_ms: float, spare_ms: float, scale: float) -> float:
    is_throttled = event.aws_exception is not None and event.aws_exception.name in THROTTLING_ERRORS
    backoffs = _backoffs_of(event.user_agent or "", event.service)
    if backoffs is None:
        if backoff_ms <= _SHORT_BACKOFF_MS * scale and not is_throttled:
            return 0.0
        return _LONG_BACKOFF_COST + _gap_cost(backoff_ms - _LONG_BACKOFF_MS * scale, _LONG_BACKOFF_MS)
    max_ms = (backoffs.when_throttled_ms if is_throttled else backoffs.after_error_ms) * scale
    if backoffs.is_exact:
        late_ms = backoff_ms - max_ms
        return _gap_cost(late_ms - _OVERSLEEP_MS, 1.0) if late_ms >= 0 else _EARLY_COST + _gap_cost(-late_ms, 1.0)
    max_ms = min(max_ms, _MAX_BACKOFF_MS)
    cost = log(max_ms / _DYNAMODB_BACKOFF_MS) + _late_cost(backoff_ms - max_ms - _OVERSLEEP_MS)
    if max_ms >= _LONG_BACKOFF_MS:
        cost += _STILL_WAITING_COST
    still_sleeping = 1.0 - min(1.0, max(0.0, spare_ms / max_ms))
    return cost + log((_FAILURE_RATE + (1.0 - _FAILURE_RATE) * still_sleeping) / _FAILURE_RATE)  # never below 0


def _late_cost(late_ms: float) -> float:
    return _LATE_EXPONENT * log1p(late_ms / _LATE_MS) if late_ms > 0 else 0.0


def _contended_cost(gap_ms: float, usual_ms: float, waits: float, exponent: int, scale_ms: float) -> float:
    """Return the cost of a gap in which a thread continues at once, or with the probability ``waits`` has to wait."""
    gap_ms = max(0.0, gap_ms)
    at_once, waited = (1 - waits) / usual_ms, waits * (exponent - 1) / scale_ms
    density = at_once * exp(-gap_ms / usual_ms) + waited * (1 + gap_ms / scale_ms) ** -exponent
    return log((at_once + waited) / density)


def _gap_cost(gap_ms: float, usual_ms: float) -> float:
    return _TAIL_EXPONENT * log1p(gap_ms / usual_ms) if gap_ms > 0 else 0.0


def _reversed_cost(cause_ns: int, effect_ns: int) -> float:
    return min(max(0.0, (cause_ns - effect_ns) / NS_PER_MS * _REVERSED_COST_PER_MS), _MAX_REVERSED_COST)
