"""Released calls and orphans to span data: `SpanMapper`.

The output is deterministic but for the ids, which come from an `IdGenerator`. Most spans are like earlier ones but for
their times and ids, so what follows from facts that repeat (`csm_otel.spans.attributes`) is computed once: a `Memo` of
the same function that computes it the first time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from opentelemetry.semconv._incubating.attributes.container_attributes import CONTAINER_ID
from opentelemetry.semconv._incubating.attributes.host_attributes import HOST_NAME
from opentelemetry.semconv._incubating.attributes.process_attributes import PROCESS_EXECUTABLE_NAME, PROCESS_PID
from opentelemetry.semconv.attributes.exception_attributes import EXCEPTION_MESSAGE, EXCEPTION_TYPE
from opentelemetry.semconv.attributes.service_attributes import SERVICE_NAME

from csm_otel.correlation.matching import is_resent, same_result
from csm_otel.correlation.released import CorrelatedCall, OrphanAttempt, Released
from csm_otel.csm.dialects import application_of_user_agent
from csm_otel.csm.events import Peer
from csm_otel.csm.traceparent import split_client_id
from csm_otel.csm.xray import xray_trace_id
from csm_otel.spans.attributes import (
    CSM_OVERRUN_MS,
    CSM_TIME_ADJUSTED,
    AttemptFacts,
    CallFacts,
    OrphanFacts,
    Values,
    attempt_attributes,
    attempt_facts,
    call_attributes,
    facts_of_last,
    is_not_sent,
    orphan_attributes,
    own_of_attempt,
    own_of_call,
    present,
)
from csm_otel.spans.data import (
    UNKNOWN_SERVICE,
    AttributeValue,
    Resource,
    Shape,
    SpanData,
    SpanEvent,
    SpanKind,
    SpanRole,
    TraceContext,
    context_of,
)
from csm_otel.spans.memo import Memo
from csm_otel.spans.options import MappingOptions, MessageMode
from csm_otel.spans.span_status import Result, result_of
from csm_otel.spans.timing import Placement, attempt_offset_ns, clock_offset_ns, place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from csm_otel.correlation.released import Observed
    from csm_otel.csm.events import ApiCallAttempt, Origin
    from csm_otel.spans.data import Attributes
    from csm_otel.spans.ids import IdGenerator
    from csm_otel.spans.processes import ProcessTraces

_NO_RESULT = Result("", None)
_OUT_OF_RANGE = "timestamp_out_of_range"


class _Sender(msgspec.Struct, frozen=True):
    """What a client id and the host that it came from say."""

    name: str
    """The name in the client id; may be empty."""
    parent: TraceContext | None
    is_local: bool


class SpanMapper:
    """Maps released calls and orphans to spans with new ids; for one thread."""

    def __init__(
        self,
        *,
        ids: IdGenerator,
        resource: Mapping[str, AttributeValue],
        host_name: str = "",
        options: MappingOptions | None = None,
        parent: TraceContext | None = None,
        processes: ProcessTraces | None = None,
    ) -> None:
        """Configure the mapping.

        Args:
            ids: The source of trace and span ids.
            resource: Attributes of the resource of every application.
            host_name: ``host.name`` of senders on this host; not exported when empty.
            options: Choices about attributes and traces.
            parent: The parent of calls that carry no trace context (`exec`).
            processes: The root spans of processes, as parents of calls that have no other.

        Without a parent each call is a separate trace.
        """
        self._ids = ids
        self._resource = dict(resource)
        self._host_name = host_name
        self._options = options or MappingOptions()
        self._parent = parent
        self._processes = processes
        self._senders = Memo(self._new_sender)
        self._resources = Memo(self._new_resource)
        self._calls = Memo(self._new_call)
        self._attempts = Memo(self._new_attempt)
        self._orphans = Memo(self._new_orphan)

    def map(self, released: Released, origin: Origin | None = None) -> list[SpanData]:
        """Return the spans of a call, its own first and then its attempts in order of time, or the span of an orphan.

        ``origin`` is the sending process, where that is known.
        """
        if isinstance(released, OrphanAttempt):
            return [self._orphan(released, origin)]
        return self._call(released, origin)

    def resource_of(self, service_name: str, *, local: bool, origin: Origin | None = None) -> Resource:
        """Return the resource of an application; ``local`` senders are on this host."""
        return self._resources[service_name, local, origin]

    def _call(self, released: CorrelatedCall, origin: Origin | None) -> list[SpanData]:
        observed = released.call
        call = observed.event
        offset_ns = clock_offset_ns(observed)
        where = Placement(_began_ns(released) + offset_ns, observed.end_ns + offset_ns)
        last = _certain_last(released)
        result = _call_result(released, last)
        sender = self._senders[call.client_id, observed.peer.host]
        shape = self._calls[
            CallFacts(
                call.service,
                call.api,
                sender.name,
                sender.is_local,
                origin,
                call.region,
                call.user_agent,
                call.status,
                result.error_type,
                call.attempt_count,
                call.max_retries_exceeded,
                call.timed_out,
                released.missing,
                released.ambiguous,
                is_not_sent(released),
                facts_of_last(last),
            )
        ]
        own = own_of_call(call, last)
        if offset_ns:
            own[CSM_TIME_ADJUSTED] = _OUT_OF_RANGE
        parent = self._parent_of(sender, origin, shape.resource, where)
        span = self._span(shape, self._context(parent, where.start_ns), parent, where, own=own, result=result)
        spans = [span]
        self._add_attempts(spans, released, where, offset_ns)
        return spans

    def _add_attempts(self, spans: list[SpanData], released: CorrelatedCall, call: Placement, offset_ns: int) -> None:
        """Add the spans of the attempts to that of their call."""
        resource, context = spans[0].shape.resource, spans[0].context
        in_order = not released.missing and not released.ambiguous
        count = len(released.attempts)
        for number, observed in enumerate(released.attempts, start=1):
            attempt = observed.event
            own_offset_ns = attempt_offset_ns(observed, offset_ns)
            where = _within(observed, call, own_offset_ns)
            result = result_of(attempt)
            not_counted = number < count and is_resent(attempt, released.call.event)
            facts = attempt_facts(attempt, result, number if in_order else None, resource, not_counted=not_counted)
            own = own_of_attempt(attempt)
            if where.overrun_ms is not None:
                own[CSM_OVERRUN_MS] = where.overrun_ms
            if own_offset_ns and own_offset_ns != offset_ns:
                own[CSM_TIME_ADJUSTED] = _OUT_OF_RANGE
            below = self._context(context, where.start_ns)
            spans.append(self._span(self._attempts[facts], below, context, where, own=own, result=result))

    def _orphan(self, released: OrphanAttempt, origin: Origin | None) -> SpanData:
        observed, attempt = released.attempt, released.attempt.event
        offset_ns = clock_offset_ns(observed)
        where = Placement(observed.start_ns + offset_ns, observed.end_ns + offset_ns)
        result = result_of(attempt)
        sender = self._senders[attempt.client_id, observed.peer.host]
        service_name = self._service_name(sender.name, (attempt.user_agent,), origin)
        resource = self.resource_of(service_name, local=sender.is_local, origin=origin)
        facts = attempt_facts(attempt, result, None, resource, not_counted=False)
        own = own_of_attempt(attempt)
        if offset_ns:
            own[CSM_TIME_ADJUSTED] = _OUT_OF_RANGE
        parent = self._parent_of(sender, origin, resource, where)
        shape = self._orphans[OrphanFacts(facts, sender.name, attempt.user_agent)]
        return self._span(shape, self._context(parent, where.start_ns), parent, where, own=own, result=result)

    def _parent_of(
        self, sender: _Sender, origin: Origin | None, resource: Resource, where: Placement
    ) -> TraceContext | None:
        if sender.parent is None and origin is not None and self._processes is not None:
            return self._processes.root_of(origin, resource, last_ns=where.end_ns)
        return sender.parent

    def _context(self, parent: TraceContext | None, start_ns: int) -> TraceContext:
        if parent is None:
            trace_id = self._ids.generate_trace_id()
            if self._options.xray_trace_ids:
                trace_id = xray_trace_id(trace_id, start_ns)
            return TraceContext(trace_id=trace_id, span_id=self._ids.generate_span_id())
        return TraceContext(
            trace_id=parent.trace_id,
            span_id=self._ids.generate_span_id(),
            sampled=parent.sampled,
            trace_state=parent.trace_state,
        )

    def _span(
        self,
        shape: Shape,
        context: TraceContext,
        parent: TraceContext | None,
        where: Placement,
        *,
        own: Attributes,
        result: Result,
    ) -> SpanData:
        failure = result.failure
        message = "" if failure is None or self._options.messages is MessageMode.NONE else failure.message
        return SpanData(
            shape=shape,
            context=context,
            parent=parent,
            start_ns=where.start_ns,
            end_ns=where.end_ns,
            own=own,
            events=_exception(result, message, where.end_ns) if failure is not None else (),
            status_message=message,
        )

    # What is remembered

    def _new_sender(self, key: tuple[str, str]) -> _Sender:
        """Return the sender of a client id and a host, by the first rule of docs/spans.md, Traces, that applies."""
        client_id, host = key
        is_local = Peer(host, 0).is_loopback
        name, carried = split_client_id(client_id)
        believed = carried if is_local or self._options.trust_remote_context else None
        parent = self._parent
        if believed and parent and believed[:2] == (parent.trace_id, parent.span_id):
            # The client id that `exec` gave to its command: the span and the name here are not truncated.
            name = self._options.service_name or name
        elif believed:
            parent = context_of(believed, is_remote=True)
        return _Sender(name, parent, is_local)

    def _new_resource(self, key: tuple[str, bool, Origin | None]) -> Resource:
        service_name, is_local, origin = key
        host = {HOST_NAME: self._host_name} if is_local and self._host_name else {}
        process = present(_process_attributes(origin)) if origin else {}
        return Resource(tuple({**host, **process, **self._resource, SERVICE_NAME: service_name}.items()))

    def _new_call(self, call: CallFacts) -> Shape:
        service_name = self._service_name(call.client_name, (call.user_agent, call.last.user_agent), call.origin)
        return Shape(
            role=SpanRole.CALL,
            name=_name(call.service, call.api),
            kind=SpanKind.CLIENT,
            resource=self.resource_of(service_name, local=call.is_local, origin=call.origin),
            attributes=call_attributes(call, self._options),
            is_error=bool(call.error_type),
            is_shared=True,
        )

    def _new_attempt(self, attempt: AttemptFacts) -> Shape:
        return _attempt_shape(SpanRole.ATTEMPT, attempt, attempt_attributes(attempt, self._options))

    def _new_orphan(self, orphan: OrphanFacts) -> Shape:
        return _attempt_shape(SpanRole.ORPHAN, orphan.attempt, orphan_attributes(orphan, self._options))

    def _service_name(self, client_name: str, user_agents: Sequence[str | None], origin: Origin | None) -> str:
        applications = (application_of_user_agent(agent) for agent in user_agents if agent)
        application = next(filter(None, applications), None)
        own = origin.name if origin else ""
        return client_name or application or self._options.service_name or own or UNKNOWN_SERVICE


def _attempt_shape(role: SpanRole, attempt: AttemptFacts, attributes: Attributes) -> Shape:
    return Shape(
        role=role,
        name=f"{_name(attempt.service, attempt.api)} attempt",
        kind=SpanKind.CLIENT,
        resource=attempt.resource,
        attributes=attributes,
        is_error=bool(attempt.error_type),
        is_shared=True,
    )


def _process_attributes(origin: Origin) -> Values:
    return {
        PROCESS_PID: origin.pid,
        PROCESS_EXECUTABLE_NAME: origin.executable,
        CONTAINER_ID: origin.container_id,
    }


def _call_result(released: CorrelatedCall, last: ApiCallAttempt | None) -> Result:
    """Return the call's own result; without any Final* field that of its last attempt."""
    call = released.call.event
    if call.has_result:
        return result_of(call)
    return result_of(last)._replace(is_inherited=True) if last else _NO_RESULT


def _began_ns(released: CorrelatedCall) -> int:
    """Return the start of a call; without its own times (Java, timed out) that of its first attempt."""
    call = released.call
    if call.event.timestamp_ms is not None or call.event.latency_ms is not None:
        return call.start_ns
    return min([call.start_ns, *(one.start_ns + attempt_offset_ns(one, 0) for one in released.attempts)])


def _certain_last(released: CorrelatedCall) -> ApiCallAttempt | None:
    """Return the last attempt, unless it may be that of another call, or the last one is missing."""
    if not released.attempts or released.ambiguous:
        return None
    last, call = released.attempts[-1].event, released.call.event
    certain = not released.missing or (call.has_result and same_result(last, call))
    return last if certain else None


def _within(attempt: Observed[ApiCallAttempt], call: Placement, offset_ns: int) -> Placement:
    if attempt.event.not_sent:
        return Placement(call.end_ns, call.end_ns)  # it has no times, and it ended the call
    return place(attempt.start_ns + offset_ns, attempt.end_ns + offset_ns, within=call)


def _exception(result: Result, message: str, time_ns: int) -> tuple[SpanEvent, ...]:
    """Return the ``exception`` event if the datagram names an exception; a status alone gives none."""
    failure = result.failure
    if failure is None or result.is_inherited or not (failure.name or message):
        return ()
    attributes = present({EXCEPTION_TYPE: failure.name, EXCEPTION_MESSAGE: message})
    return (SpanEvent(name="exception", time_ns=time_ns, attributes=attributes),)


def _name(service: str, api: str) -> str:
    return f"{service}.{api}" if service and api else service or api
