"""Spans in, as they are exported, and a `Summary` of them out: `SummaryBuilder`.

Memory is bounded whatever is sent: there are bounds on operations, on groups of failures, and on the entries of each
list. What is beyond a bound is counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opentelemetry.semconv._incubating.attributes.cloud_attributes import CLOUD_ACCOUNT_ID, CLOUD_REGION
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT

from csm_otel.spans.attributes import CSM_SDK
from csm_otel.spans.data import SpanRole
from csm_otel.spans.host import is_aws_host
from csm_otel.summary.access import Access, access_of
from csm_otel.summary.actions import actions_of
from csm_otel.summary.advice import is_denial
from csm_otel.summary.durations import Durations
from csm_otel.summary.failures import Failures
from csm_otel.summary.model import ActionUse, OperationUse, Run, Summary, Times, Totals, Uncertainty
from csm_otel.summary.patterns import Patterns
from csm_otel.summary.service_names import normalised
from csm_otel.summary.timeline import Timeline
from csm_otel.summary.trace import Call, exit_code, is_process, operation_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from csm_otel.spans.data import Shape, SpanData

_MAX_OPERATIONS = 1000
_MAX_ENTRIES = 50
_MAX_TRACES = 10_000  # distinguished, to be counted
_NS_PER_MS = 1_000_000
_MAX_SHAPES = 4_096
_IDENTITY = "sts"
_PLACES = frozenset({CSM_SDK, CLOUD_ACCOUNT_ID, CLOUD_REGION, SERVER_ADDRESS, SERVER_PORT})


@dataclass
class _Operation:
    """The calls of an operation so far."""

    calls: int = 0
    failed: int = 0
    retried: int = 0
    throttled: int = 0
    not_sent: int = 0
    denied: int = 0
    lengths: Durations = field(default_factory=Durations)

    def add(self, call: Call) -> None:
        self.calls += 1
        self.failed += call.span.is_error
        self.retried += call.attempt_count > 1
        self.throttled += call.is_throttled
        self.not_sent += call.is_not_sent
        self.denied += call.span.is_error and is_denial(str(call.span.attribute(ERROR_TYPE) or ""))
        self.lengths.add(call.span.end_ns - call.span.start_ns)


class SummaryBuilder:
    """Collects what spans say."""

    def __init__(self, *, max_operations: int = _MAX_OPERATIONS) -> None:
        """Distinguish at most so many operations."""
        self._max_operations = max_operations
        self._operations: dict[tuple[str, str], _Operation] = {}
        self._rest = _Operation()
        """The calls of operations beyond the bound."""
        self._failures = Failures()
        self._patterns = Patterns()
        self._busy, self._back_off = Timeline(), Timeline()
        self._roots: list[SpanData] = []
        """Commands and processes: at most two, to tell one from several."""
        self._traces: set[int] = set()
        self._entries: dict[str, set[str]] = {}
        self._known_shapes: set[Shape] = set()
        """Shapes whose places are among the entries."""
        self._first_ns: int | None = None
        self._last_ns = 0
        self._attempts = self._missing = self._ambiguous = self._orphans = 0

    def add(self, spans: Iterable[SpanData]) -> None:
        """Add spans, each call followed by its attempts."""
        for span, attempts in _lines(spans):
            if len(self._traces) < _MAX_TRACES:
                self._traces.add(span.context.trace_id)
            if is_process(span):
                self._note("applications", span.resource.service_name)
                self._roots = [*self._roots[-1:], span]
            else:
                self._add_call(Call(span=span, attempts=tuple(attempts)))

    def build(self) -> Summary:
        """Return the summary of all spans so far."""
        root = self._roots[0] if len(self._roots) == 1 else None
        code = None if root is None else exit_code(root)
        operations = sorted(self._operations.items())
        uses = [_operation_use(*key, operation) for key, operation in operations]
        return Summary(
            run=self._run(root, code),
            totals=self._totals(uses),
            times=self._times(root),
            operations=sorted(uses, key=lambda use: -use.total_ms),
            failures=self._failures.groups(exit_code=code),
            patterns=list(self._patterns.found()),
            actions=[_action_use(*key, operation) for key, operation in operations],
            uncertainty=Uncertainty(
                attempts_missing=self._missing,
                ambiguous=self._ambiguous,
                orphans=self._orphans,
                operations_left_out=self._rest.calls,
                failures_left_out=self._failures.left_out,
            ),
        )

    def _add_call(self, call: Call) -> None:
        span = call.span
        self._first_ns = span.start_ns if self._first_ns is None else min(self._first_ns, span.start_ns)
        self._last_ns = max(self._last_ns, span.end_ns)
        self._busy.add(span.start_ns, span.end_ns)
        for pause in call.back_offs:
            if pause:
                self._back_off.add(*pause)
        self._attempts += len(call.attempts) + call.is_orphan
        self._missing += call.attempts_missing
        self._ambiguous += call.is_ambiguous
        self._failures.add(call)
        for one in (span, *call.attempts):
            # most spans are like others but for what is their own
            if one.shape not in self._known_shapes or not _PLACES.isdisjoint(one.own):
                self._add_places(one)
        if call.is_orphan:
            self._orphans += 1
            return
        key = operation_of(span)
        self._patterns.add(call, key)
        operation = self._operations.get(key)
        if operation is None:
            has_room = len(self._operations) < self._max_operations
            operation = self._operations.setdefault(key, _Operation()) if has_room else self._rest
        operation.add(call)

    def _add_places(self, span: SpanData) -> None:
        if len(self._known_shapes) >= _MAX_SHAPES:
            self._known_shapes.clear()
        self._known_shapes.add(span.shape)
        self._note("applications", span.resource.service_name)
        for name, attribute in (("sdks", CSM_SDK), ("accounts", CLOUD_ACCOUNT_ID), ("regions", CLOUD_REGION)):
            value = span.attribute(attribute)
            if value is not None:
                self._note(name, str(value))
        host = span.attribute(SERVER_ADDRESS)
        if host is not None and not is_aws_host(str(host)):
            port = span.attribute(SERVER_PORT)
            self._note("other_endpoints", str(host) if port is None else f"{host}:{port}")

    def _note(self, name: str, entry: str) -> None:
        entries = self._entries.setdefault(name, set())
        if len(entries) < _MAX_ENTRIES:
            entries.add(entry)

    def _sorted(self, name: str) -> list[str]:
        return sorted(self._entries.get(name, ()))

    def _run(self, root: SpanData | None, code: int | None) -> Run:
        first_ns = root.start_ns if root is not None else self._first_ns
        return Run(
            name=root.name if root is not None else "",
            exit_code=code,
            trace_id=f"{next(iter(self._traces)):032x}" if len(self._traces) == 1 else "",
            traces=len(self._traces),
            start_ns=first_ns or 0,
            applications=self._sorted("applications"),
            sdks=self._sorted("sdks"),
            accounts=self._sorted("accounts"),
            regions=self._sorted("regions"),
            other_endpoints=self._sorted("other_endpoints"),
        )

    def _totals(self, uses: Sequence[OperationUse]) -> Totals:
        reads = sum(use.calls for use in uses if use.access is Access.READ)
        return Totals(
            calls=sum(use.calls for use in uses) + self._rest.calls,
            failed=sum(use.failed for use in uses) + self._rest.failed,
            retried=sum(use.retried for use in uses) + self._rest.retried,
            throttled=sum(use.throttled for use in uses) + self._rest.throttled,
            not_sent=sum(use.not_sent for use in uses) + self._rest.not_sent,
            reads=reads,
            changes=sum(use.calls for use in uses) - reads,
            identity_calls=sum(use.calls for use in uses if normalised(use.service) == _IDENTITY),
            attempts=self._attempts,
        )

    def _times(self, root: SpanData | None) -> Times:
        first_ns = self._first_ns or 0
        start_ns, end_ns = (first_ns, self._last_ns) if root is None else (root.start_ns, root.end_ns)
        within = start_ns, end_ns
        return Times(
            wall_ms=_ms(end_ns - start_ns),
            in_calls_ms=_ms(self._busy.covered_ns(within)),
            in_back_off_ms=_ms(self._back_off.covered_ns(within)),
            before_first_call_ms=0 if self._first_ns is None else _ms(max(self._first_ns - start_ns, 0)),
            most_at_once=self._busy.most_at_once(),
        )


def _lines(spans: Iterable[SpanData]) -> Iterator[tuple[SpanData, list[SpanData]]]:
    """Yield each span that is not below a call, with the attempts that follow it as its own."""
    owner: SpanData | None = None
    attempts: list[SpanData] = []
    for span in spans:
        is_below = owner is not None and span.parent is not None and span.parent.span_id == owner.context.span_id
        if span.role is SpanRole.ATTEMPT and is_below:
            attempts.append(span)
            continue
        if owner is not None:
            yield owner, attempts
        owner, attempts = span, []
    if owner is not None:
        yield owner, attempts


def _operation_use(service: str, api: str, operation: _Operation) -> OperationUse:
    lengths = operation.lengths.percentiles()
    return OperationUse(
        service=service,
        api=api,
        access=access_of(service, api),
        calls=operation.calls,
        failed=operation.failed,
        retried=operation.retried,
        throttled=operation.throttled,
        not_sent=operation.not_sent,
        p50_ms=lengths.p50_ms,
        p95_ms=lengths.p95_ms,
        max_ms=lengths.max_ms,
        total_ms=lengths.total_ms,
    )


def _action_use(service: str, api: str, operation: _Operation) -> ActionUse:
    actions = actions_of(service, api)
    return ActionUse(
        service=service,
        api=api,
        actions=None if actions is None else list(actions),
        denied=operation.denied,
    )


def _ms(nanoseconds: int) -> int:
    return round(nanoseconds / _NS_PER_MS)
