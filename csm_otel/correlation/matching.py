"""The necessary conditions for an attempt to belong to a call: its times, its result, its order among the others.

How likely it is, is a matter of `csm_otel.correlation.evidence`.
Source: the SDKs' own code, as botocore's monitoring.py, and the recordings in tests/conformance/captured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from csm_otel.csm.events import ApiCall, ApiCallAttempt, Dialect
from csm_otel.csm.times import NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from csm_otel.correlation.released import Observed

END_MAY_OVERRUN = frozenset({Dialect.JS, Dialect.PHP})  # JavaScript reuses a stale latency, PHP's includes the backoff
_MIN_ERROR_STATUS = 300  # redirects are retried like errors
_MIN_CLIENT_ERROR_STATUS = 400
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_RESENT = _REDIRECTS | {400}
_SLACK_NS = 2 * NS_PER_MS  # both ends are truncated to milliseconds, and their clocks read at different moments
# Start by the wall clock, length by the monotonic one: Ruby's attempts exceed their call by up to 7 ms.
_MIXED_CLOCKS_SLACK_NS = 8 * NS_PER_MS
_MIXED_CLOCKS = frozenset({Dialect.RUBY, Dialect.DOTNET})
_USER_AGENT_DIFFERS = frozenset({Dialect.PHP})  # its calls carry the HTTP library's agent
_NEVER_NS = 2**64  # later than any time, and negated, earlier


class Window(NamedTuple):
    """Between which times the attempts of a call are, in epoch nanoseconds."""

    earliest_start_ns: int
    latest_start_ns: int
    latest_end_ns: int


def expected_attempts(call: ApiCall, eligible: Iterable[Observed[ApiCallAttempt]]) -> int:
    """Return how many attempts a call had: its count, or one if it has none or counts 0 despite a response (PHP)."""
    if call.attempt_count is None:
        return 1
    uncounted = call.attempt_count == 0 and (
        call.status is not None
        or (call.dialect is Dialect.PHP and any(is_redirect(attempt.event) for attempt in eligible))
    )
    return 1 if uncounted else call.attempt_count


def slack_ns(dialect: Dialect) -> int:
    """Return by how many nanoseconds an attempt may exceed its call, or overlap the next attempt."""
    return _MIXED_CLOCKS_SLACK_NS if dialect in _MIXED_CLOCKS else _SLACK_NS


def start_is_known(call: Observed[ApiCall]) -> bool:
    """Whether a call has a start, by a plausible clock. Java's has none after a timeout."""
    return call.event.timestamp_ms is not None and call.match_start_ns == call.start_ns


def is_sent_first(call: Observed[ApiCall]) -> bool:
    """Whether a call arrives before all of its attempts: Ruby's does, where no network reorders."""
    return call.event.dialect is Dialect.RUBY and call.peer.is_loopback


def window_of(call: Observed[ApiCall]) -> Window:
    """Return between which times attempts are within a call, with the slack of its dialect."""
    dialect = call.event.dialect
    slack = slack_ns(dialect)
    if call.event.latency_ms is None:  # no end: the clock stepped back, or there are no times at all
        return Window(call.match_start_ns - slack if start_is_known(call) else -_NEVER_NS, _NEVER_NS, _NEVER_NS)
    end_ns = call.match_end_ns + slack
    return Window(call.match_start_ns - slack, end_ns, _NEVER_NS if dialect in END_MAY_OVERRUN else end_ns)


def is_within(attempt: Observed[ApiCallAttempt], window: Window) -> bool:
    """Whether an attempt lies within a call's window."""
    if attempt.event.not_sent:
        return True  # it has no times
    earliest_start_ns, latest_start_ns, latest_end_ns = window
    return earliest_start_ns <= attempt.match_start_ns <= latest_start_ns and attempt.match_end_ns <= latest_end_ns


def fits(attempt: Observed[ApiCallAttempt], call: Observed[ApiCall]) -> bool:
    """Whether an attempt lies within a call, with the slack of its dialect."""
    return is_within(attempt, window_of(call))


def may_be_last(attempt: ApiCallAttempt, call: ApiCall) -> bool:
    """Whether an attempt may be the last one of a call, by result, request id, region and user agent."""
    if call.request_id and attempt.request_id and call.dialect is Dialect.GO:
        return call.request_id == attempt.request_id
    if call.has_result and not same_result(attempt, call):
        return False
    if attempt.region and call.region and attempt.region != call.region:
        return False
    agents_compare = call.dialect not in _USER_AGENT_DIFFERS and attempt.user_agent and call.user_agent
    return not agents_compare or attempt.user_agent == call.user_agent


def same_result(attempt: ApiCallAttempt, call: ApiCall) -> bool:
    """Whether an attempt has the result in the call's Final* fields."""
    return (
        # Ruby's unsent attempt has no status; its call may repeat that of an earlier attempt
        (attempt.not_sent or attempt.status == call.status)
        and attempt.aws_exception == call.aws_exception
        and attempt.sdk_exception == call.sdk_exception
    )


def is_resent(attempt: ApiCallAttempt, call: ApiCall) -> bool:
    """Whether an attempt is one that Ruby repeated without counting it: elsewhere, as the response told it.

    That is a redirect, or for a bucket of another region a refusal: then the call has the region of the later attempt.
    """
    is_elsewhere = attempt.region is not None and call.region is not None and attempt.region != call.region
    return may_be_resent(attempt) and (attempt.status in _REDIRECTS or is_elsewhere)


def may_be_resent(attempt: ApiCallAttempt) -> bool:
    """Whether an attempt may be such a one of some call."""
    return (
        attempt.dialect is Dialect.RUBY
        and attempt.status in _RESENT
        and attempt.aws_exception is None
        and attempt.sdk_exception is None
    )


def may_be_retried(attempt: ApiCallAttempt) -> bool:
    """Whether an attempt may have been followed by another that its call counts: it failed or was redirected."""
    if attempt.status in _REDIRECTS and may_be_resent(attempt):
        return False
    return (
        attempt.status is None
        or attempt.status >= _MIN_ERROR_STATUS
        or attempt.aws_exception is not None
        or attempt.sdk_exception is not None
    )


def may_precede(attempt: Observed[ApiCallAttempt], successor: Observed[ApiCallAttempt]) -> bool:
    """Whether an attempt was over when another one began."""
    in_time = earliest_next_ns(attempt) <= successor.match_start_ns
    return in_time or (attempt.event.dialect is Dialect.JAVA and _is_stale_copy(successor, attempt))


def over_ns(attempt: Observed[ApiCallAttempt]) -> int:
    """Return when an attempt was over, as far as its dialect shows it."""
    return attempt.match_start_ns if attempt.event.dialect in END_MAY_OVERRUN else attempt.match_end_ns


def earliest_next_ns(attempt: Observed[ApiCallAttempt]) -> int:
    """Return when the next attempt of the same call began at the earliest."""
    return over_ns(attempt) - slack_ns(attempt.event.dialect)


def _is_stale_copy(attempt: Observed[ApiCallAttempt], earlier: Observed[ApiCallAttempt]) -> bool:
    """Whether an attempt repeats the times of an earlier one: Java's, if it failed before it had a request."""
    same_times = (attempt.start_ns, attempt.end_ns) == (earlier.start_ns, earlier.end_ns)
    return same_times and earlier.received_ns <= attempt.received_ns


def is_redirect(attempt: ApiCallAttempt) -> bool:
    """Whether an attempt was answered with a redirect."""
    return attempt.status is not None and _MIN_ERROR_STATUS <= attempt.status < _MIN_CLIENT_ERROR_STATUS
