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

from functools import lru_cache
from math import exp, log, log1p
from typing import TYPE_CHECKING

from csm_otel.correlation.backoffs import MAX_UNCERTAIN_COST
from csm_otel.csm.events import Dialect
from csm_otel.csm.times import NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Callable

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
_MAX_REMEMBERED = 1024  # gaps between starts, which are whole milliseconds, with their costs


class CallCosts:
    """The costs of attempts as the first or the last one of a call, with what they need of it as plain numbers."""

    __slots__ = ("_dialect", "_end_ns", "_latest_receipt_ns", "_receipts_cost", "_received_ns", "_start_ns")

    def __init__(self, call: Observed[ApiCall]) -> None:
        """Read the times of a call."""
        dialect, is_loopback = call.event.dialect, call.peer.is_loopback
        self._dialect = dialect
        self._start_ns = call.match_start_ns
        self._end_ns = call.match_end_ns
        self._received_ns = call.received_ns
        self._latest_receipt_ns: int | None = None
        """When the last attempt had been received, where the gap between the ends is that again, less precise."""
        if is_loopback and dialect in _SENDS_ITSELF:
            self._latest_receipt_ns = call.match_end_ns + (1 if dialect in _EXACT_ENDS else 2) * NS_PER_MS
            self._receipts_cost = _RECEIPTS_COSTS[dialect]
        else:
            self._receipts_cost = _queued_receipts_cost if is_loopback else _remote_receipts_cost

    def first(self, attempt: Observed[ApiCallAttempt]) -> float:
        """Return the cost of the gap between the starts of the call and of its first attempt."""
        return _starts_cost(attempt.match_start_ns - self._start_ns, self._dialect)

    def last(self, attempt: Observed[ApiCallAttempt]) -> float:
        """Return the cost of the gaps between the ends of the call and its last attempt, and between their receipts."""
        received_ns = attempt.received_ns
        cost = self._receipts_cost(abs(self._received_ns - received_ns) / NS_PER_MS)
        if self._latest_receipt_ns is not None:
            return cost + _reversed_cost((received_ns - self._latest_receipt_ns) / NS_PER_MS)
        return cost + _gap_cost(abs(self._end_ns - attempt.match_end_ns) / NS_PER_MS - 1.0, _READINGS_MS)


@lru_cache(maxsize=_MAX_REMEMBERED)
def _starts_cost(gap_ns: int, dialect: Dialect) -> float:
    gap_ms = gap_ns / NS_PER_MS
    if dialect is Dialect.GO:
        return _gap_cost(abs(gap_ms), _READINGS_MS)
    if gap_ms < 0:
        return _EARLY_COST + _gap_cost(-gap_ms, _READINGS_MS)
    if dialect is Dialect.BOTOCORE:
        return _STARTS_OF_THREADS.cost(gap_ms - _PREPARATION_MS)
    return _gap_cost(gap_ms - (_PREPARATION_MS if dialect in _PREPARES_FIRST else 0.0), _READINGS_MS)


def is_close(attempt: Observed[ApiCallAttempt], call: Observed[ApiCall]) -> bool:
    """Whether all gaps between a call and its only attempt are so short that they cost less than 10 nats together."""
    return (
        -_CLOSE_RECEIPTS_NS <= call.received_ns - attempt.received_ns <= _CLOSE_RECEIPTS_NS
        and 0 <= attempt.match_start_ns - call.match_start_ns <= _CLOSE_STARTS_NS
        and -_CLOSE_ENDS_NS <= attempt.match_end_ns - call.match_end_ns <= _CLOSE_ENDS_NS
        and attempt.received_ns <= call.match_end_ns + NS_PER_MS
    )


class RetryCosts:
    """The costs of attempts as the next one after a failed attempt of a call."""

    __slots__ = ("_backoffs", "_is_causal", "_is_php", "_over_ns")

    def __init__(
        self, attempt: Observed[ApiCallAttempt], call: Observed[ApiCall], *, number: int, backoffs: PossibleBackoffs
    ) -> None:
        """Read the times of an attempt, the ``number``-th of its call from 0.

        ``backoffs`` are those that the sender may have.
        """
        self._over_ns = _over_ns(attempt)
        self._is_php = attempt.event.dialect is Dialect.PHP
        self._is_causal = attempt.peer.is_loopback
        self._backoffs = None
        if backoffs and not self._is_php:
            # If the attempt were another call's: the longest backoff after which its next attempt, of the same length,
            # would be over by now
            length_ns = attempt.match_end_ns - attempt.match_start_ns
            spare_ms = (call.match_end_ns - attempt.match_end_ns - length_ns) / NS_PER_MS
            self._backoffs = backoffs.after(attempt.event, number, spare_ms)

    def next(self, successor: Observed[ApiCallAttempt]) -> float:
        """Return the cost of ``successor`` as the next attempt."""
        waited_ms = _waited_ms(self._over_ns, successor)
        if self._is_php:
            return _since_sent_cost(waited_ms)
        cost = _reversed_cost(-waited_ms) if waited_ms < 0 and self._is_causal else 0.0
        return cost + self._backoffs.cost(waited_ms) if self._backoffs else cost


def backoff_ms(attempt: Observed[ApiCallAttempt], successor: Observed[ApiCallAttempt]) -> float:
    """Return how many ms passed at most, as times are truncated, between an attempt and the next one.

    Negative: it is impossible that the next one began after it.
    """
    return _waited_ms(_over_ns(attempt), successor)


def _waited_ms(over_ns: int, successor: Observed[ApiCallAttempt]) -> float:
    return (successor.match_start_ns + NS_PER_MS - over_ns) / NS_PER_MS


def _over_ns(attempt: Observed[ApiCallAttempt]) -> int:
    """Return since when an attempt is over, at the earliest."""
    dialect, is_loopback = attempt.event.dialect, attempt.peer.is_loopback
    over_ns = attempt.match_end_ns + NS_PER_MS
    if is_loopback and dialect in _SENDS_ITSELF:
        over_ns = attempt.received_ns
    elif is_loopback and dialect is not Dialect.RUBY:  # which sends all attempts of a call at its end
        over_ns = min(attempt.received_ns, over_ns)  # later only where the sender resolves a host name
    return over_ns


def _since_sent_cost(late_ms: float) -> float:
    """Return the cost of a PHP retry: it begins, and waits, as soon as the datagram of the failed attempt is sent."""
    cost = _gap_cost(late_ms - 1.0, _READINGS_MS) if late_ms >= 0 else _EARLY_COST + _gap_cost(-late_ms, _READINGS_MS)
    return min(cost, MAX_UNCERTAIN_COST)  # the program may have done something else meanwhile


class _Contended:
    """A gap in which a thread continues at once, or with the probability ``waits`` has to wait."""

    def __init__(self, usual_ms: float, waits: float, exponent: int, scale_ms: float) -> None:
        self._usual_ms = usual_ms
        self._at_once, self._waited = (1 - waits) / usual_ms, waits * (exponent - 1) / scale_ms
        self._most = self._at_once + self._waited
        self._exponent, self._scale_ms = -exponent, scale_ms

    def cost(self, gap_ms: float) -> float:
        """Return the cost of a gap."""
        if gap_ms <= 0.0:
            return 0.0
        waited: float = self._waited * (1 + gap_ms / self._scale_ms) ** self._exponent
        return log(self._most / (self._at_once * exp(-gap_ms / self._usual_ms) + waited))


_STARTS_OF_THREADS = _Contended(_READINGS_MS, *_WAITS_AT_START)
_RECEIPTS_OF_THREADS = _Contended(_BOTOCORE_RECEIPTS_MS, *_WAITS_AT_END)


def _direct_receipts_cost(gap_ms: float) -> float:
    return _gap_cost(gap_ms, _RECEIPTS_MS)


def _php_receipts_cost(gap_ms: float) -> float:
    cost: float = (gap_ms / _PHP_MS) ** _PHP_EXPONENT
    return min(cost, _MAX_PHP_COST)


def _queued_receipts_cost(gap_ms: float) -> float:
    return _gap_cost(gap_ms, _QUEUED_RECEIPTS_MS)


def _remote_receipts_cost(gap_ms: float) -> float:
    return _gap_cost(gap_ms, _REMOTE_RECEIPTS_MS)


_RECEIPTS_COSTS: dict[Dialect, Callable[[float], float]] = {
    Dialect.BOTOCORE: _RECEIPTS_OF_THREADS.cost,
    Dialect.CPP: _direct_receipts_cost,
    Dialect.PHP: _php_receipts_cost,
}
"""Of the senders whose threads send their own datagrams."""


def _gap_cost(gap_ms: float, usual_ms: float) -> float:
    return _TAIL_EXPONENT * log1p(gap_ms / usual_ms) if gap_ms > 0 else 0.0


def _reversed_cost(gap_ms: float) -> float:
    return min(gap_ms * _REVERSED_COST_PER_MS, _MAX_REVERSED_COST) if gap_ms > 0 else 0.0
