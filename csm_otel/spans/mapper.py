"""Released calls and orphans to span data: `SpanMapper`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from opentelemetry.semconv._incubating.attributes.host_attributes import HOST_NAME
from opentelemetry.semconv.attributes.exception_attributes import EXCEPTION_MESSAGE, EXCEPTION_TYPE
from opentelemetry.semconv.attributes.service_attributes import SERVICE_NAME

from csm_otel.correlator import CorrelatedCall, OrphanAttempt, Released
from csm_otel.dialects import application_of_user_agent
from csm_otel.matching import same_outcome
from csm_otel.spans.attributes import (
    CSM_OVERRUN_MS,
    CSM_TIME_ADJUSTED,
    Values,
    attempt_attributes,
    call_attributes,
    orphan_attributes,
    present,
)
from csm_otel.spans.data import AttributeValue, Resource, SpanData, SpanEvent, SpanKind, TraceContext
from csm_otel.spans.options import MappingOptions, MessageMode
from csm_otel.spans.outcome import Outcome, outcome_of
from csm_otel.spans.timing import Placement, clock_offset_ns, place
from csm_otel.traceparent import split_client_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from csm_otel.events import ApiCallAttempt, Event, Peer
    from csm_otel.observed import Observed

_MAX_RESOURCES = 1024  # the applications of one daemon; client ids are a stranger's, so what is kept is bounded
_UNKNOWN_SERVICE = "unknown_service"
_NO_OUTCOME = Outcome("", None)


class IdGenerator(Protocol):
    """Where ids come from: random when live, seeded when replayed."""

    def generate_trace_id(self) -> int:
        """Return a new 128-bit trace id."""

    def generate_span_id(self) -> int:
        """Return a new 64-bit span id."""


class SpanMapper:
    """Makes span data of what the correlator releases; ids are given here, once."""

    def __init__(
        self,
        *,
        ids: IdGenerator,
        resource: Mapping[str, AttributeValue],
        host_name: str = "",
        options: MappingOptions | None = None,
        parent: TraceContext | None = None,
    ) -> None:
        """Take what all spans share.

        ``resource`` is what every application's resource starts with, ``host_name`` joins it for senders on this host.
        ``parent`` is the span that everything without a trace context of its own is put below (`exec`), else each call
        is a trace.
        """
        self._ids = ids
        self._resource = dict(resource)
        self._host_name = host_name
        self._options = options or MappingOptions()
        self._parent = parent
        self._resources: dict[tuple[str, bool], Resource] = {}

    def map(self, released: Released) -> list[SpanData]:
        """Return the spans of a call, the call's own first and its attempts in order, or an orphan's single span."""
        if isinstance(released, OrphanAttempt):
            return [self._orphan(released)]
        return self._call(released)

    def resource_of(self, service_name: str, *, local: bool) -> Resource:
        """Return the resource of an application."""
        known = self._resources.get((service_name, local))
        if known is None:
            if len(self._resources) >= _MAX_RESOURCES:
                self._resources.clear()
            host = {HOST_NAME: self._host_name} if local and self._host_name else {}
            known = Resource(tuple({**host, **self._resource, SERVICE_NAME: service_name}.items()))
            self._resources[service_name, local] = known
        return known

    def _call(self, released: CorrelatedCall) -> list[SpanData]:
        observed, call = released.call, released.call.event
        offset_ns = clock_offset_ns(observed)
        where = Placement(_began_ns(released) + offset_ns, observed.end_ns + offset_ns)
        last = _certain_last(released)
        name, context, parent = self._position(call, observed.peer)
        outcome = _call_outcome(released, last)
        values = call_attributes(released, last, outcome, name, self._options)
        if offset_ns:
            values[CSM_TIME_ADJUSTED] = "timestamp_out_of_range"
        resource = self.resource_of(self._service_name(name, call, last), local=observed.peer.is_loopback)
        span = self._span(_name(call), context, parent, where, values, outcome, resource)
        return [span, *self._attempts(released, where, offset_ns, context, resource)]

    def _attempts(
        self, released: CorrelatedCall, call: Placement, offset_ns: int, parent: TraceContext, resource: Resource
    ) -> list[SpanData]:
        in_order = not released.missing and not released.ambiguous
        spans = []
        for number, attempt in enumerate(released.attempts, start=1):
            where = _within(attempt, call, offset_ns if attempt.event.timestamp_ms is not None else 0)
            outcome = outcome_of(attempt.event)
            values = attempt_attributes(attempt.event, outcome, number if in_order else None, self._options)
            values[CSM_OVERRUN_MS] = where.overrun_ms
            context = self._context(parent)
            spans.append(self._span(_attempt_name(attempt.event), context, parent, where, values, outcome, resource))
        return spans

    def _orphan(self, released: OrphanAttempt) -> SpanData:
        observed, attempt = released.attempt, released.attempt.event
        offset_ns = clock_offset_ns(observed)
        name, context, parent = self._position(attempt, observed.peer)
        outcome = outcome_of(attempt)
        values = {
            **attempt_attributes(attempt, outcome, None, self._options),
            **orphan_attributes(attempt, name, self._options),
            CSM_TIME_ADJUSTED: "timestamp_out_of_range" if offset_ns else None,
        }
        where = Placement(observed.start_ns + offset_ns, observed.end_ns + offset_ns)
        resource = self.resource_of(self._service_name(name, attempt, attempt), local=observed.peer.is_loopback)
        return self._span(_attempt_name(attempt), context, parent, where, values, outcome, resource)

    def _position(self, event: Event, peer: Peer) -> tuple[str, TraceContext, TraceContext | None]:
        """Return the client's own name, the span's context and its parent, by the first trace rule that applies."""
        name, carried = split_client_id(event.client_id)
        believed = carried if peer.is_loopback or self._options.trust_remote_context else None
        parent = self._parent
        if believed and parent and believed[:2] == (parent.trace_id, parent.span_id):
            # what `exec` put there comes back: its own span and name, both with more than a client id can hold
            name = self._options.service_name or name
        elif believed:
            trace_id, span_id, sampled = believed
            parent = TraceContext(trace_id=trace_id, span_id=span_id, sampled=sampled, is_remote=True)
        return name, self._context(parent), parent

    def _context(self, parent: TraceContext | None) -> TraceContext:
        return TraceContext(
            trace_id=parent.trace_id if parent else self._ids.generate_trace_id(),
            span_id=self._ids.generate_span_id(),
            sampled=parent.sampled if parent else True,
            trace_state=parent.trace_state if parent else "",
        )

    def _service_name(self, client_name: str, event: Event, last: ApiCallAttempt | None) -> str:
        agents = [agent for agent in (event.user_agent, last.user_agent if last else None) if agent]
        application = next((app for agent in agents if (app := application_of_user_agent(agent))), None)
        return client_name or application or self._options.service_name or _UNKNOWN_SERVICE

    def _span(  # ruff: ignore[too-many-positional-arguments] - the parts of a span
        self,
        name: str,
        context: TraceContext,
        parent: TraceContext | None,
        where: Placement,
        values: Values,
        outcome: Outcome,
        resource: Resource,
    ) -> SpanData:
        message = self._message(outcome)
        return SpanData(
            name=name,
            kind=SpanKind.CLIENT,
            context=context,
            parent=parent,
            start_ns=where.start_ns,
            end_ns=where.end_ns,
            attributes=present(values),
            events=_exception(outcome, message, where.end_ns),
            is_error=outcome.is_error,
            status_message=message,
            resource=resource,
        )

    def _message(self, outcome: Outcome) -> str:
        if outcome.failure is None or self._options.messages is MessageMode.NONE:
            return ""
        return outcome.failure.message


def _call_outcome(released: CorrelatedCall, last: ApiCallAttempt | None) -> Outcome:
    """Return the call's own outcome; where it has no Final* field, that of its last attempt, if any was sent."""
    call = released.call.event
    if call.has_outcome:
        return outcome_of(call)
    return outcome_of(last)._replace(is_inherited=True) if last else _NO_OUTCOME


def _began_ns(released: CorrelatedCall) -> int:
    """Return the call's start; where it tells no time of its own (Java, timed out), its first attempt's."""
    call = released.call
    if call.event.timestamp_ms is not None or call.event.latency_ms is not None:
        return call.start_ns
    return min([call.start_ns, *(attempt.start_ns for attempt in released.attempts)])


def _certain_last(released: CorrelatedCall) -> ApiCallAttempt | None:
    """Return the last attempt, unless it may be another call's, or an earlier one because the last is missing."""
    if not released.attempts or released.ambiguous:
        return None
    last, call = released.attempts[-1].event, released.call.event
    certain = not released.missing or (call.has_outcome and same_outcome(last, call))
    return last if certain else None


def _within(attempt: Observed[ApiCallAttempt], call: Placement, offset_ns: int) -> Placement:
    if attempt.event.not_sent:
        return Placement(call.end_ns, call.end_ns)  # it has no time of its own, and ended the call
    return place(attempt.start_ns + offset_ns, attempt.end_ns + offset_ns, within=call)


def _exception(outcome: Outcome, message: str, time_ns: int) -> tuple[SpanEvent, ...]:
    """Return the ``exception`` event, where the datagram itself names one: never invented from a status."""
    failure = outcome.failure
    if failure is None or outcome.is_inherited or not (failure.name or message):
        return ()
    attributes = present({EXCEPTION_TYPE: failure.name, EXCEPTION_MESSAGE: message})
    return (SpanEvent(name="exception", time_ns=time_ns, attributes=attributes),)


def _name(event: Event) -> str:
    return ".".join(part for part in (event.service, event.api) if part)


def _attempt_name(event: Event) -> str:
    return f"{_name(event)} attempt"
