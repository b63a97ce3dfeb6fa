"""Released calls and orphans to span data: `SpanMapper`.

The output is deterministic but for the ids, which come from an `IdGenerator`. Most spans are like earlier ones but for
their times and ids, so what follows from facts that repeat (`csm_otel.spans.attributes`) is computed once: a `Memo` of
the same function that computes it the first time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
from opentelemetry.semconv._incubating.attributes.aws_attributes import AWS_REQUEST_ID
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
    orphan_attributes,
    own_of_attempt,
    present,
    request_ids,
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
    utf8_text,
)
from csm_otel.spans.memo import Memo
from csm_otel.spans.options import MappingOptions, MessageMode
from csm_otel.spans.span_status import Result, result_of
from csm_otel.spans.timing import Placement, place_attempt, place_call, place_orphan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from csm_otel.correlation.released import Observed
    from csm_otel.csm.events import ApiCall, ApiCallAttempt, Origin
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


class _Shapes(NamedTuple):
    """The shapes of a call and of its last attempt, where that is certain."""

    call: Shape
    last: Shape | None


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
        self._new_trace_id, self._new_span_id = ids.generate_trace_id, ids.generate_span_id
        self._resource = {
            utf8_text(key): utf8_text(value) if isinstance(value, str) else value for key, value in resource.items()
        }
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
        call, attempts = released.call.event, released.attempts
        where = place_call(released)
        last = _certain_last(released)
        if last is None:
            last_result, last_facts, ids = _NO_RESULT, None, _request_id(call)
        else:
            last_result, ids = result_of(last), request_ids(last)
            last_facts = attempt_facts(last, last_result, None if released.missing else len(attempts))
        result = result_of(call) if call.has_result else _inherited(last_result)
        sender = self._senders[call.client_id, released.call.peer.host]
        shapes = self._calls[
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
                not attempts and _is_not_sent(call),
                last_facts,
            )
        ]
        own = {**ids, CSM_TIME_ADJUSTED: _OUT_OF_RANGE} if where.offset_ns else ids
        parent = sender.parent
        if parent is None and origin is not None:
            parent = self._process_of(origin, shapes.call.resource, where)
        span = self._span(shapes.call, parent, where, own, result)
        spans = [span]
        for number, observed in enumerate(attempts if last is None else attempts[:-1], start=1):
            spans.append(self._other_attempt(observed, number, released, span, where))
        if shapes.last is not None:
            spans.append(
                self._attempt(attempts[-1], shapes.last, last_result, ids=ids, parent=span.context, call=where)
            )
        return spans

    def _other_attempt(
        self, observed: Observed[ApiCallAttempt], number: int, of: CorrelatedCall, call: SpanData, where: Placement
    ) -> SpanData:
        """Return the span of an attempt other than the certain last one."""
        attempt, in_order = observed.event, not of.missing and not of.ambiguous
        result = result_of(attempt)
        not_counted = number < len(of.attempts) and is_resent(attempt, of.call.event)
        facts = attempt_facts(attempt, result, number if in_order else None, not_counted=not_counted)
        shape = self._attempts[attempt.service, attempt.api, call.shape.resource, facts]
        return self._attempt(observed, shape, result, ids=request_ids(attempt), parent=call.context, call=where)

    def _attempt(
        self,
        observed: Observed[ApiCallAttempt],
        shape: Shape,
        result: Result,
        *,
        ids: Attributes,
        parent: TraceContext,
        call: Placement,
    ) -> SpanData:
        """Return the span of an attempt, by its request ids and the context and times of its call."""
        where, own = place_attempt(observed, call), own_of_attempt(observed.event, ids)
        if where.overrun_ms is not None:
            own = {**own, CSM_OVERRUN_MS: where.overrun_ms}
        if where.offset_ns and where.offset_ns != call.offset_ns:
            own = {**own, CSM_TIME_ADJUSTED: _OUT_OF_RANGE}
        return self._span(shape, parent, where, own, result)

    def _orphan(self, released: OrphanAttempt, origin: Origin | None) -> SpanData:
        attempt = released.attempt.event
        where = place_orphan(released.attempt)
        result = result_of(attempt)
        sender = self._senders[attempt.client_id, released.attempt.peer.host]
        service_name = self._service_name(sender.name, (attempt.user_agent,), origin)
        resource = self.resource_of(service_name, local=sender.is_local, origin=origin)
        facts = attempt_facts(attempt, result, None)
        shape = self._orphans[OrphanFacts(attempt.service, attempt.api, sender.name, resource, facts)]
        own = own_of_attempt(attempt, request_ids(attempt))
        if where.offset_ns:
            own = {**own, CSM_TIME_ADJUSTED: _OUT_OF_RANGE}
        parent = sender.parent
        if parent is None and origin is not None:
            parent = self._process_of(origin, resource, where)
        return self._span(shape, parent, where, own, result)

    def _process_of(self, origin: Origin, resource: Resource, where: Placement) -> TraceContext | None:
        return self._processes.root_of(origin, resource, last_ns=where.end_ns) if self._processes is not None else None

    def _span(
        self, shape: Shape, parent: TraceContext | None, where: Placement, own: Attributes, result: Result
    ) -> SpanData:
        if parent is None:
            trace_id = self._new_trace_id()
            if self._options.xray_trace_ids:
                trace_id = xray_trace_id(trace_id, where.start_ns)
            context = TraceContext(trace_id=trace_id, span_id=self._new_span_id())
        else:
            context = TraceContext(
                trace_id=parent.trace_id,
                span_id=self._new_span_id(),
                sampled=parent.sampled,
                trace_state=parent.trace_state,
            )
        failure = result.failure
        message = "" if failure is None or self._options.messages is MessageMode.NONE else failure.message
        return SpanData(
            shape=shape,
            context=context,
            parent=parent,
            start_ns=where.start_ns,
            end_ns=where.end_ns,
            own=own,
            events=() if failure is None else _exception(result, message, where.end_ns),
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
        return Resource(tuple({**host, **process, **self._resource, SERVICE_NAME: utf8_text(service_name)}.items()))

    def _new_call(self, call: CallFacts) -> _Shapes:
        last_agent = call.last.user_agent if call.last is not None else None
        service_name = self._service_name(call.client_name, (call.user_agent, last_agent), call.origin)
        resource = self.resource_of(service_name, local=call.is_local, origin=call.origin)
        shape = Shape(
            role=SpanRole.CALL,
            name=_name(call.service, call.api),
            kind=SpanKind.CLIENT,
            resource=resource,
            attributes=call_attributes(call, self._options),
            is_error=bool(call.error_type),
            is_shared=True,
        )
        return _Shapes(shape, self._attempts[call.service, call.api, resource, call.last] if call.last else None)

    def _new_attempt(self, key: tuple[str, str, Resource, AttemptFacts]) -> Shape:
        service, api, resource, attempt = key
        attributes = attempt_attributes(attempt, self._options)
        return _attempt_shape(SpanRole.ATTEMPT, _name(service, api), resource, attempt, attributes)

    def _new_orphan(self, orphan: OrphanFacts) -> Shape:
        name = _name(orphan.service, orphan.api)
        attributes = orphan_attributes(orphan, self._options)
        return _attempt_shape(SpanRole.ORPHAN, name, orphan.resource, orphan.attempt, attributes)

    def _service_name(self, client_name: str, user_agents: Sequence[str | None], origin: Origin | None) -> str:
        applications = (application_of_user_agent(agent) for agent in user_agents if agent)
        application = next(filter(None, applications), None)
        own = origin.name if origin else ""
        return client_name or application or self._options.service_name or own or UNKNOWN_SERVICE


def _attempt_shape(
    role: SpanRole, operation: str, resource: Resource, attempt: AttemptFacts, attributes: Attributes
) -> Shape:
    return Shape(
        role=role,
        name=f"{operation} attempt",
        kind=SpanKind.CLIENT,
        resource=resource,
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


def _inherited(result: Result) -> Result:
    """Return the result of a call without any Final* field: that of its last attempt."""
    return result if result.failure is None else result._replace(is_inherited=True)


def _is_not_sent(call: ApiCall) -> bool:
    """Whether a call without attempts sent no request: no credentials, or stubbed; the datagrams are the same."""
    return call.attempt_count == 0 and not call.has_result


def _request_id(call: ApiCall) -> Attributes:
    """Return the request id that Go's calls have."""
    return {AWS_REQUEST_ID: call.request_id} if call.request_id else {}


def _certain_last(released: CorrelatedCall) -> ApiCallAttempt | None:
    """Return the last attempt, unless it may be that of another call, or the last one is missing."""
    if not released.attempts or released.ambiguous:
        return None
    last, call = released.attempts[-1].event, released.call.event
    certain = not released.missing or (call.has_result and same_result(last, call))
    return last if certain else None


def _exception(result: Result, message: str, time_ns: int) -> tuple[SpanEvent, ...]:
    """Return the ``exception`` event if the datagram names an exception; a status alone gives none."""
    failure = result.failure
    if failure is None or result.is_inherited or not (failure.name or message):
        return ()
    attributes = present({EXCEPTION_TYPE: failure.name, EXCEPTION_MESSAGE: message})
    return (SpanEvent(name="exception", time_ns=time_ns, attributes=attributes),)


def _name(service: str, api: str) -> str:
    return f"{service}.{api}" if service and api else service or api
