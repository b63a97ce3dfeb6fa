"""Failed calls, grouped by operation and error: `Failures`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE

from csm_otel.spans.span_status import UNNAMED_ERROR
from csm_otel.summary.advice import advice_on
from csm_otel.summary.model import Effect, FailureGroup
from csm_otel.summary.trace import http_status, operation_of

if TYPE_CHECKING:
    from csm_otel.summary.trace import Call

_MAX_GROUPS = 1000
_NOT_FOUND = 404
_MAX_MESSAGE_CHARS = 500
_CLOCK_SLACK_NS = 2_000_000  # times are in whole milliseconds: one call after the other may seem to overlap


@dataclass
class _Group:
    """A group so far."""

    status: int | None
    first_ns: int
    last_ns: int
    last_end_ns: int
    count: int = 0
    message: str = ""
    is_throttling: bool = False


class Failures:
    """Groups failed calls, and attempts that failed without their call."""

    def __init__(self, *, max_groups: int = _MAX_GROUPS) -> None:
        """Keep at most so many groups; the calls of others are counted."""
        self._max_groups = max_groups
        self._groups: dict[tuple[str, str, str], _Group] = {}
        self._last_start_ns = 0
        """Of all calls, whatever their result."""
        self.left_out = 0

    def add(self, call: Call) -> None:
        """Add a call, or the attempt of one that was not seen."""
        span = call.span
        self._last_start_ns = max(self._last_start_ns, span.start_ns)
        if not span.is_error:
            return
        status = http_status(span)
        key = (*operation_of(span), str(span.attribute(ERROR_TYPE) or UNNAMED_ERROR))
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= self._max_groups:
                self.left_out += 1
                return
            group = self._groups[key] = _Group(status, span.start_ns, span.start_ns, span.end_ns)
        group.count += 1
        group.status = status if group.status == status else None
        group.first_ns, group.last_ns = min(group.first_ns, span.start_ns), max(group.last_ns, span.start_ns)
        group.last_end_ns = max(group.last_end_ns, span.end_ns)
        group.message = group.message or span.status_message[:_MAX_MESSAGE_CHARS]
        group.is_throttling |= call.is_throttled

    def groups(self, *, exit_code: int | None) -> list[FailureGroup]:
        """Return the groups in order of their first call; ``exit_code`` is None where it is not known."""
        found = [
            FailureGroup(
                service=service,
                api=api,
                error=error,
                status=group.status,
                count=group.count,
                first_ns=group.first_ns,
                last_ns=group.last_ns,
                effect=self._effect(api, group, exit_code),
                message=group.message,
                advice=advice_on(error, is_throttling=group.is_throttling),
            )
            for (service, api, error), group in self._groups.items()
        ]
        return sorted(found, key=lambda group: (group.first_ns, group.name, group.error))

    def _effect(self, api: str, group: _Group, exit_code: int | None) -> Effect:
        # Others may have been in progress, in other threads; none began when it had ended.
        none_after = self._last_start_ns < group.last_end_ns - _CLOCK_SLACK_NS
        was_last = none_after or self._last_start_ns == group.last_ns
        if exit_code and was_last:
            return Effect.FATAL
        if api.startswith("Head") and group.status == _NOT_FOUND:
            return Effect.QUESTION
        # A call after it, and a good end, show that the program went on.
        return Effect.UNKNOWN if exit_code is None and was_last else Effect.TOLERATED
