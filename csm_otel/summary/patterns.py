"""Ways of using an API that are worth a look, each with what was counted: `Patterns`.

They are found in the calls of one operation at a time, in the order in which they ended. A sequence of calls is one in
which each begins after the one before has ended; programs that work in parallel have none. Calls come nearly in order:
those that waited for others are a little late.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE

from csm_otel.spans.attributes import CSM_CONNECTION_REUSED
from csm_otel.summary.model import Pattern, PatternKind
from csm_otel.summary.service_names import normalised

if TYPE_CHECKING:
    from collections.abc import Iterator

    from csm_otel.summary.trace import Call

_REPEATED_FROM = 20
_POLLED_FROM = 5
_FAILING_FROM = 5
_CREDENTIALS_FROM = 3
_CONNECTIONS_FROM = 20
_NS_PER_SECOND = 1_000_000_000
_MAX_PAUSE_NS = _NS_PER_SECOND  # within a loop there is hardly more between two calls
_MIN_POLL_NS = _NS_PER_SECOND
_POLL_TOLERANCE = 0.1  # of the interval: a fixed sleep, and calls of varying length
_MAX_OPERATIONS = 1000
_HELD_CALLS = 2_000  # as many as may come within the quarter of a second that a call waits
_LISTS = ("List", "Describe", "Scan", "Query", "Search")
_FETCHES_CREDENTIALS = frozenset({
    ("cognitoidentity", "GetCredentialsForIdentity"),
    ("sso", "GetRoleCredentials"),
    ("sts", "AssumeRole"),
    ("sts", "AssumeRoleWithSAML"),
    ("sts", "AssumeRoleWithWebIdentity"),
    ("sts", "GetFederationToken"),
    ("sts", "GetSessionToken"),
})  # fmt: skip


@dataclass(slots=True)
class _Longest:
    """The current sequence, and the longest so far."""

    current: int = 0
    longest: int = 0

    def add(self, *, continues: bool) -> None:
        self.current = self.current + 1 if continues else 1
        self.longest = max(self.longest, self.current)

    def stop(self) -> None:
        self.current = 0


@dataclass(slots=True)
class _Operation:
    """What is known of the calls of an operation so far."""

    calls: int = 0
    start_ns: int = 0
    end_ns: int = 0
    """Of the call before."""
    interval_ns: int = 0
    """Between the starts of the two calls before."""
    error: str = ""
    """Of the call before; empty if it went well."""
    in_sequence: _Longest = field(default_factory=_Longest)
    polls: _Longest = field(default_factory=_Longest)
    polled_ns: int = 0
    """The interval of the longest polling."""
    failing: _Longest = field(default_factory=_Longest)
    failing_error: str = ""
    """Of the longest sequence of failures."""

    def add(self, start_ns: int, end_ns: int, error: str) -> None:
        pause_ns = start_ns - self.end_ns
        self.in_sequence.add(continues=bool(self.calls) and 0 <= pause_ns <= _MAX_PAUSE_NS)
        interval_ns = start_ns - self.start_ns if self.calls else 0
        if interval_ns >= _MIN_POLL_NS and pause_ns >= 0:
            self.polls.add(continues=abs(interval_ns - self.interval_ns) <= _POLL_TOLERANCE * self.interval_ns)
            if self.polls.current == self.polls.longest:
                self.polled_ns = interval_ns
        else:
            self.polls.stop()
        if error:
            self.failing.add(continues=error == self.error)
            if self.failing.current == self.failing.longest:
                self.failing_error = error
        else:
            self.failing.stop()
        self.calls += 1
        self.start_ns, self.end_ns, self.interval_ns, self.error = start_ns, end_ns, interval_ns, error


class Patterns:
    """Looks for patterns in calls as they come, in bounded memory: operations beyond the bound have none."""

    def __init__(self, *, max_operations: int = _MAX_OPERATIONS, held_calls: int = _HELD_CALLS) -> None:
        """Follow at most so many operations; a call may come up to ``held_calls`` late."""
        self._max_operations = max_operations
        self._held_calls = held_calls
        self._operations: dict[tuple[str, str], _Operation] = {}
        self._held: deque[tuple[int, int, tuple[str, str], str]] = deque()
        """End, start, operation and error of the latest calls, in this order."""
        self._connections = self._new_connections = 0

    def add(self, call: Call, key: tuple[str, str]) -> None:
        """Add a call with its attempts; ``key`` has its service and API."""
        operation = self._operations.get(key)
        if operation is None and len(self._operations) < self._max_operations:
            operation = self._operations[key] = _Operation()
        if operation is not None:
            span = call.span
            error = str(span.attribute(ERROR_TYPE) or "") if span.is_error else ""
            held = span.end_ns, span.start_ns, key, error
            if not self._held or self._held[-1] <= held:  # as nearly all come
                self._held.append(held)
            else:
                insort(self._held, held)
            if len(self._held) > self._held_calls:
                self._release()
        for attempt in call.attempts:
            reused = attempt.attribute(CSM_CONNECTION_REUSED)
            if reused is not None:
                self._connections += 1
                self._new_connections += not reused

    def found(self) -> Iterator[Pattern]:
        """Yield the patterns found so far, by operation."""
        while self._held:
            self._release()
        for (service, api), operation in sorted(self._operations.items()):
            yield from _of_operation(f"{service}.{api}", api, operation)
        fetched = sum(
            operation.calls
            for (service, api), operation in self._operations.items()
            if (normalised(service), api) in _FETCHES_CREDENTIALS
        )
        if fetched >= _CREDENTIALS_FROM:
            text = f"credentials were fetched {fetched:,} times; they last for an hour as a rule"
            yield _pattern(PatternKind.CREDENTIALS, "", fetched, _CREDENTIALS_FROM, text)
        if self._new_connections >= _CONNECTIONS_FROM and 2 * self._new_connections > self._connections:
            text = f"{self._new_connections:,} of {self._connections:,} requests opened a new connection"
            yield _pattern(PatternKind.CONNECTIONS, "", self._new_connections, _CONNECTIONS_FROM, text)

    def _release(self) -> None:
        end_ns, start_ns, key, error = self._held.popleft()
        self._operations[key].add(start_ns, end_ns, error)


def _of_operation(name: str, api: str, operation: _Operation) -> Iterator[Pattern]:
    repeated = operation.in_sequence.longest
    if repeated >= _REPEATED_FROM:
        kind = PatternKind.PAGED if api.startswith(_LISTS) else PatternKind.REPEATED
        text = f"{name} was called {repeated:,} times, one directly after the other"
        yield _pattern(kind, name, repeated, _REPEATED_FROM, text)
    if (intervals := operation.polls.longest) >= _POLLED_FROM:
        seconds = operation.polled_ns / _NS_PER_SECOND
        text = f"{name} was called {intervals + 1:,} times, every {seconds:.1f} s"
        yield _pattern(PatternKind.POLLED, name, intervals + 1, _POLLED_FROM + 1, text)
    if (failed := operation.failing.longest) >= _FAILING_FROM:
        text = f"{name} failed {failed:,} times in a row with {operation.failing_error}"
        yield _pattern(PatternKind.FAILING, name, failed, _FAILING_FROM, text)


def _pattern(kind: PatternKind, operation: str, count: int, threshold: int, text: str) -> Pattern:
    return Pattern(kind=kind, operation=operation, count=count, threshold=threshold, text=text)
