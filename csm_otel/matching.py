"""Which of the pending attempts of a group were made for one call: `choose`.

Sizes are milliseconds. A choice has a cost, the sum of the gaps that should be nothing: between the end of the last
attempt and the end of its call, between their receipts, between the start of the first attempt and the start of the
call.
Source of the rules: csm-protocol D4, and 2.4 for what each SDK's clock readings allow.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import msgspec

from csm_otel.events import ApiCall, ApiCallAttempt, Dialect, Event, Failure, Peer
from csm_otel.times import NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

E_co = TypeVar("E_co", bound=Event, covariant=True)

_FIRST_ERROR_STATUS = 300  # redirects are retried like errors
_FIRST_REFUSAL_STATUS = 400
_SLACK_NS = 2 * NS_PER_MS  # both ends are cut to milliseconds, from clocks that may be read apart
# Ruby: wall clock for the start, monotonic for the length; attempts stick out by up to 7 ms
_MIXED_CLOCKS_SLACK_NS = 8 * NS_PER_MS
_MIXED_CLOCKS = frozenset({Dialect.RUBY, Dialect.DOTNET})
_END_MAY_OVERRUN = frozenset({Dialect.JS, Dialect.PHP})  # JS reuses a stale latency, PHP's contains the back-off
_CALL_FIRST = frozenset({Dialect.RUBY})
_USER_AGENT_DIFFERS = frozenset({Dialect.PHP})  # its calls carry the HTTP library's agent
_DELIVERY_NS = 5000 * NS_PER_MS  # how long a datagram may be under way, in a sender's queue or on a network
_MOST_LOOKED_AT = 2000  # attempts; more are pending in one group only when far more calls were lost than came
_LAST_CANDIDATES = 12  # how many of the best last attempts are tried with a whole chain before them
_AMBIGUOUS_MS = 1.0  # the wire's resolution: choices nearer than this cannot be told apart


class Observed(msgspec.Struct, Generic[E_co], frozen=True, kw_only=True):
    """An event with where it came from and when it happened, in epoch nanoseconds."""

    event: E_co
    peer: Peer
    received_ns: int
    start_ns: int
    end_ns: int
    match_start_ns: int
    match_end_ns: int
    """The same, but placed by the receipt where the sender's clock is not to be believed."""


class Choice(NamedTuple):
    """The attempts chosen for a call, by their keys in the group, in order of time, the last one last."""

    attempts: tuple[int, ...]
    missing: int
    ambiguous: bool
    cost_ms: float


class _Chain(NamedTuple):
    attempts: tuple[int, ...]
    cost_ms: float


def choose(
    call: Observed[ApiCall], pending: dict[int, Observed[ApiCallAttempt]], *, is_last_try: bool = False
) -> Choice:
    """Return the attempts of ``pending`` that were made for ``call``, how many it still misses, and at what cost.

    On the last try a .NET call that no attempt fits takes what there is: its Latency is another's under concurrency.
    """
    candidates = {key: attempt for key, attempt in _recent(call, pending) if _fits(attempt, call)}
    if not candidates and is_last_try and call.event.dialect is Dialect.DOTNET:
        candidates = dict(pending)
    wanted = _wanted(call.event, candidates)
    if not wanted:
        return Choice((), 0, ambiguous=False, cost_ms=0.0)
    lasts = sorted(
        (_last_cost_ms(attempt, call, wanted), -key, key)
        for key, attempt in candidates.items()
        if _may_be_last(attempt, call.event)
    )
    chains = [_chain(key, cost, wanted, call, candidates) for cost, _, key in lasts[:_LAST_CANDIDATES]]
    if not chains:
        # The last attempt was lost; those before it, all failed, are still the call's.
        chains = [_chain(None, 0.0, wanted, call, candidates)]
    chains.sort(key=lambda chain: (-len(chain.attempts), chain.cost_ms))
    best = chains[0]
    ambiguous = any(
        len(other.attempts) == len(best.attempts)
        and other.cost_ms - best.cost_ms <= _AMBIGUOUS_MS
        and not _interchangeable(best, other, candidates)
        for other in chains[1:]
    )
    return Choice(best.attempts, wanted - len(best.attempts), ambiguous, best.cost_ms)


def _recent(
    call: Observed[ApiCall], pending: dict[int, Observed[ApiCallAttempt]]
) -> Iterator[tuple[int, Observed[ApiCallAttempt]]]:
    """Yield the attempts that came since the call began, the latest first.

    What came before cannot be the call's, and may be much: attempts whose calls were lost stay for long.
    """
    if call.event.latency_ms is None:
        since_ns = 0
    else:
        since_ns = call.received_ns - (call.match_end_ns - call.match_start_ns) - _DELIVERY_NS
    for key in islice(reversed(pending), _MOST_LOOKED_AT):
        if pending[key].received_ns < since_ns:
            return
        yield key, pending[key]


def _wanted(call: ApiCall, candidates: Mapping[int, Observed[ApiCallAttempt]]) -> int:
    """Return how many attempts a call had. PHP counts none for a 301, which is an attempt all the same."""
    if call.attempt_count is None:
        return 1
    uncounted = call.attempt_count == 0 and (
        call.status is not None
        or (call.dialect is Dialect.PHP and any(_is_redirect(attempt.event) for attempt in candidates.values()))
    )
    return 1 if uncounted else call.attempt_count


def _is_redirect(attempt: ApiCallAttempt) -> bool:
    return attempt.status is not None and _FIRST_ERROR_STATUS <= attempt.status < _FIRST_REFUSAL_STATUS


def _slack_ns(dialect: Dialect) -> int:
    return _MIXED_CLOCKS_SLACK_NS if dialect in _MIXED_CLOCKS else _SLACK_NS


def _fits(attempt: Observed[ApiCallAttempt], call: Observed[ApiCall]) -> bool:
    if attempt.event.not_sent:
        return True  # it has no time of its own
    dialect = call.event.dialect
    slack_ns = _slack_ns(dialect)
    if call.event.latency_ms is None:
        # its end is not known (a clock that stepped back), or not even its start (Java's call that timed out)
        start_is_known = call.event.timestamp_ms is not None and call.match_start_ns == call.start_ns
        return not start_is_known or attempt.match_start_ns >= call.match_start_ns - slack_ns
    begins_in = call.match_start_ns - slack_ns <= attempt.match_start_ns <= call.match_end_ns + slack_ns
    return begins_in and (dialect in _END_MAY_OVERRUN or attempt.match_end_ns <= call.match_end_ns + slack_ns)


def _may_be_last(attempt: Observed[ApiCallAttempt], call: ApiCall) -> bool:
    event = attempt.event
    if call.request_id and event.request_id and call.dialect is Dialect.GO:
        return call.request_id == event.request_id
    if call.has_outcome and not same_outcome(event, call):
        return False
    if event.region and call.region and event.region != call.region:
        return False
    agents_tell = call.dialect not in _USER_AGENT_DIFFERS and event.user_agent and call.user_agent
    return not agents_tell or event.user_agent == call.user_agent


def same_outcome(attempt: ApiCallAttempt, call: ApiCall) -> bool:
    """Whether an attempt ended as the call's Final* fields say its last one did."""
    return (
        # Ruby's attempt that was not sent has no status; its call may repeat one of before
        (attempt.not_sent or attempt.status == call.status)
        and _same_failure(attempt.aws_exception, call.aws_exception)
        and _same_failure(attempt.sdk_exception, call.sdk_exception)
    )


def _same_failure(attempt: Failure | None, call: Failure | None) -> bool:
    if attempt is None or call is None:
        return attempt is call
    return attempt == call


def _last_cost_ms(attempt: Observed[ApiCallAttempt], call: Observed[ApiCall], wanted: int) -> float:
    cost_ns = abs(call.match_end_ns - attempt.match_end_ns) + abs(call.received_ns - attempt.received_ns)
    if wanted == 1:
        cost_ns += abs(attempt.match_start_ns - call.match_start_ns)
    return cost_ns / NS_PER_MS


def _chain(
    last: int | None,
    cost_ms: float,
    wanted: int,
    call: Observed[ApiCall],
    candidates: Mapping[int, Observed[ApiCallAttempt]],
) -> _Chain:
    """Choose the attempts before ``last``: the first at the call's start, the others backwards from ``last``."""
    if wanted == 1:
        return _Chain((last,) if last is not None else (), cost_ms)
    before_ns = call.match_end_ns if last is None else candidates[last].match_start_ns
    slack_ns = _slack_ns(call.event.dialect)
    overlap_ok = call.event.dialect in _END_MAY_OVERRUN
    earlier = [
        (key, attempt)
        for key, attempt in candidates.items()
        if key != last
        and _may_be_retried(attempt.event)
        and (
            (attempt.match_start_ns if overlap_ok else attempt.match_end_ns) <= before_ns + slack_ns
            or (last is not None and _is_stale_copy(candidates[last], attempt))
        )
    ]
    if not earlier:
        return _Chain((last,) if last is not None else (), cost_ms)
    first, first_attempt = min(earlier, key=lambda item: (abs(item[1].match_start_ns - call.match_start_ns), item[0]))
    cost_ms += abs(first_attempt.match_start_ns - call.match_start_ns) / NS_PER_MS
    middle: list[int] = []
    between = sorted(
        ((attempt.match_end_ns, key, attempt) for key, attempt in earlier if key != first),
        key=lambda item: (-item[0], -item[1]),
    )
    room = wanted - 2  # the first has its place; the last has its own even where it is lost
    for end_ns, key, attempt in between:
        if len(middle) == room:
            break
        starts_late = overlap_ok or attempt.match_start_ns >= first_attempt.match_end_ns - slack_ns
        if starts_late and (overlap_ok or end_ns <= before_ns + slack_ns):
            middle.append(key)
            before_ns = attempt.match_start_ns
    before_last = sorted(
        [first, *middle], key=lambda key: (candidates[key].match_start_ns, candidates[key].match_end_ns, key)
    )
    return _Chain((*before_last, last) if last is not None else tuple(before_last), cost_ms)


def _is_stale_copy(attempt: Observed[ApiCallAttempt], earlier: Observed[ApiCallAttempt]) -> bool:
    """Whether an attempt repeats the times of one before, as Java's does that died before it had a request."""
    same_times = (attempt.start_ns, attempt.end_ns) == (earlier.start_ns, earlier.end_ns)
    return attempt.event.dialect is Dialect.JAVA and same_times and earlier.received_ns <= attempt.received_ns


def _may_be_retried(attempt: ApiCallAttempt) -> bool:
    return (
        attempt.status is None
        or attempt.status >= _FIRST_ERROR_STATUS
        or attempt.aws_exception is not None
        or attempt.sdk_exception is not None
    )


def _interchangeable(one: _Chain, other: _Chain, candidates: Mapping[int, Observed[ApiCallAttempt]]) -> bool:
    return [candidates[key].event for key in one.attempts] == [candidates[key].event for key in other.attempts]
