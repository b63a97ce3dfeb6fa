"""How likely an attempt belongs to a call: costs, negative log-likelihoods in nats up to a constant.

Each cost evaluates one gap between times of the two datagrams. A gap that is usually small and sometimes large (a
preempted thread) costs the logarithm of its size: the distribution has a power-law tail, so that one long delay is
likelier than two of half its length.

Where the thread of a call sends its own datagrams (botocore, C++, PHP), the kernel's receive times are readings of the
sender's clock in between those in the datagrams, and more precise: an attempt is *received* before its call reads its
end, and before the next attempt reads its start. Wire times are truncated to milliseconds, so that the true time is up
to a millisecond later; an end that is a start plus a separately measured length, up to two. Other senders read the end
of an attempt before they send it too, but what they tell may be later than the next start (JavaScript's length may be
that of an earlier attempt), or the datagram may be late (it resolves a host name): the earlier of the two counts.

PHP's promises run in one thread, in the order in which their responses arrived: attempts that end together are sent
together, then their calls, in the same order. So of two calls and two attempts, equal gaps are likelier than a short
and a long one, and its cost grows faster than the gap. A retry reads its start before it waits, when the failed
attempt has just been sent.

Python's threads compete for the interpreter lock: a thread continues at once, or waits, about as long whether it has
waited already or not. So a gap of botocore's has a mixture of two distributions, and two that waited cost nearly the
same.

Source: the SDKs' own code, as botocore's monitoring.py, and the recordings in tests/conformance/captured.
"""

from __future__ import annotations

from math import exp, log, log1p
from typing import TYPE_CHECKING

from csm_otel.correlation.backoffs import MAX_UNCERTAIN_COST
from csm_otel.csm.events import Dialect
from csm_otel.csm.times import NS_PER_MS

if TYPE_CHECKING:
    from csm_otel.correlation.backoffs import PossibleBackoffs
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

# Gaps that are cheap for every dialect.
_CLOSE_RECEIPTS_NS, _CLOSE_STARTS_NS, _CLOSE_ENDS_NS = 400_000, 2 * NS_PER_MS, NS_PER_MS

# Of the gap between the receipts of PHP's attempt and call: usual length, exponent of the cost, and its maximum, which
# does not make an attempt implausible.
_PHP_MS, _PHP_EXPONENT, _MAX_PHP_COST = 1.0, 1.5, 9.0

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
        elif call.event.dialect is Dialect.PHP:
            cost = min((receipts_ms / _PHP_MS) ** _PHP_EXPONENT, _MAX_PHP_COST)
        else:
            cost = _gap_cost(receipts_ms, _RECEIPTS_MS)
        return cost + _reversed_cost((attempt.received_ns - end_ns) / NS_PER_MS)
    ends_ms = abs(call.match_end_ns - attempt.match_end_ns) / NS_PER_MS
    usual_ms = _QUEUED_RECEIPTS_MS if call.peer.is_loopback else _REMOTE_RECEIPTS_MS
    return _gap_cost(receipts_ms, usual_ms) + _gap_cost(ends_ms - 1.0, _READINGS_MS)


def is_close(attempt: Observed[ApiCallAttempt], call: Observed[ApiCall]) -> bool:
    """Whether all gaps between a call and its only attempt are so short that they cost less than 10 nats together."""
    return (
        -_CLOSE_RECEIPTS_NS <= call.received_ns - attempt.received_ns <= _CLOSE_RECEIPTS_NS
        and 0 <= attempt.match_start_ns - call.match_start_ns <= _CLOSE_STARTS_NS
        and -_CLOSE_ENDS_NS <= attempt.match_end_ns - call.match_end_ns <= _CLOSE_ENDS_NS
        and attempt.received_ns <= call.match_end_ns + NS_PER_MS
    )


def retry_cost(
    attempt: Observed[ApiCallAttempt],
    successor: Observed[ApiCallAttempt],
    call: Observed[ApiCall],
    *,
    number: int,
    backoffs: PossibleBackoffs,
) -> float:
    """Return the cost of ``successor`` as the next one after an attempt, the ``number``-th of its call from 0.

    ``backoffs`` are those that the sender may have.
    """
    waited_ms = backoff_ms(attempt, successor)
    if attempt.event.dialect is Dialect.PHP:
        return _since_sent_cost(waited_ms)
    cost = _reversed_cost(-waited_ms) if waited_ms < 0 and attempt.peer.is_loopback else 0.0
    if not backoffs:
        return cost
    # If the attempt were another call's: the longest backoff after which its next attempt, of the same length, would
    # be over by now
    spare_ms = (call.match_end_ns - attempt.match_end_ns - (attempt.match_end_ns - attempt.match_start_ns)) / NS_PER_MS
    return cost + backoffs.cost(attempt.event, number, waited_ms, spare_ms)


def backoff_ms(attempt: Observed[ApiCallAttempt], successor: Observed[ApiCallAttempt]) -> float:
    """Return how many ms passed at most, as times are truncated, between an attempt and the next one.

    Negative: it is impossible that the next one began after it.
    """
    dialect, is_loopback = attempt.event.dialect, attempt.peer.is_loopback
    begun_ns = successor.match_start_ns + NS_PER_MS
    over_ns = attempt.match_end_ns + NS_PER_MS
    if is_loopback and dialect in _SENDS_ITSELF:
        over_ns = attempt.received_ns
    elif is_loopback and dialect is not Dialect.RUBY:  # which sends all attempts of a call at its end
        over_ns = min(attempt.received_ns, over_ns)  # later only where the sender resolves a host name
    return (begun_ns - over_ns) / NS_PER_MS


def _since_sent_cost(late_ms: float) -> float:
    """Return the cost of a PHP retry: it begins, and waits, as soon as the datagram of the failed attempt is sent."""
    cost = _gap_cost(late_ms - 1.0, _READINGS_MS) if late_ms >= 0 else _EARLY_COST + _gap_cost(-late_ms, _READINGS_MS)
    return min(cost, MAX_UNCERTAIN_COST)  # the program may have done something else meanwhile


def _contended_cost(gap_ms: float, usual_ms: float, waits: float, exponent: int, scale_ms: float) -> float:
    """Return the cost of a gap in which a thread continues at once, or with the probability ``waits`` has to wait."""
    gap_ms = max(0.0, gap_ms)
    at_once, waited = (1 - waits) / usual_ms, waits * (exponent - 1) / scale_ms
    density = at_once * exp(-gap_ms / usual_ms) + waited * (1 + gap_ms / scale_ms) ** -exponent
    return log((at_once + waited) / density)


def _gap_cost(gap_ms: float, usual_ms: float) -> float:
    return _TAIL_EXPONENT * log1p(gap_ms / usual_ms) if gap_ms > 0 else 0.0


def _reversed_cost(gap_ms: float) -> float:
    return min(max(0.0, gap_ms * _REVERSED_COST_PER_MS), _MAX_REVERSED_COST)
