"""Released calls and orphans to span data: `SpanMapper`.

The output is deterministic but for the ids, which come from an `IdGenerator`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.semconv._incubating.attributes.container_attributes import CONTAINER_ID
from opentelemetry.semconv._incubating.attributes.host_attributes import HOST_NAME
from opentelemetry.semconv._incubating.attributes.process_attributes import PROCESS_EXECUTABLE_NAME, PROCESS_PID
from opentelemetry.semconv.attributes.exception_attributes import EXCEPTION_MESSAGE, EXCEPTION_TYPE
from opentelemetry.semconv.attributes.service_attributes import SERVICE_NAME

from csm_otel.correlation.matching import is_resent, same_result
from csm_otel.correlation.released import CorrelatedCall, OrphanAttempt, Released
from csm_otel.csm.dialects import application_of_user_agent
from csm_otel.csm.traceparent import split_client_id
from csm_otel.csm.xray import xray_trace_id
from csm_otel.spans.attributes import (
    CSM_NOT_COUNTED,
    CSM_OVERRUN_MS,
    CSM_TIME_ADJUSTED,
    Values,
    attempt_attributes,
    call_attributes,
    orphan_attributes,
    present,
)
from csm_otel.spans.data import (
    UNKNOWN_SERVICE,
    AttributeValue,
    Resource,
    SpanData,
    SpanEvent,
    SpanKind,
    SpanRole,
    TraceContext,
)
from csm_otel.spans.options import MappingOptions, MessageMode
from csm_otel.spans.span_status import Result, result_of
from csm_otel.spans.timing import Placement, attempt_offset_ns, clock_offset_ns, place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from csm_otel.correlation.released import Observed
    from csm_otel.csm.events import ApiCallAttempt, Event, Origin
    from csm_otel.spans.ids import IdGenerator
    from csm_otel.spans.processes import ProcessTraces

_MAX_RESOURCES = 1024  # cached; client ids are untrusted, so their number is bounded
_NO_RESULT = Result("", None)


class _Position(NamedTuple):
    """The place of a span: its application, and its position in the trace."""

    client_name: str
    """The name in the client id; may be empty."""
    resource: Resource
    context: TraceContext
    parent: TraceContext | None


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
        self._resources: dict[tuple[object, ...], Resource] = {}

    def map(self, released: Released, origin: Origin | None = None) -> list[SpanData]:
        """Return the spans of a call, its own first and then its attempts in order of time, or the span of an orphan.

        ``origin`` is the sending process, where that is known.
        """
        if isinstance(released, OrphanAttempt):
            return [self._orphan(released, origin)]
        return self._call(released, origin)

    def resource_of(self, service_name: str, *, local: bool, origin: Origin | None = None) -> Resource:
        """Return the resource of an application; ``local`` senders are on this host."""
        process = present(_process_attributes(origin)) if origin else {}
        key = (service_name, local, *process.items())
        known = self._resources.get(key)
        if known is None:
            if len(self._resources) >= _MAX_RESOURCES:
                self._resources.clear()
            host = {HOST_NAME: self._host_name} if local and self._host_name else {}
            known = Resource(tuple({**host, **process, **self._resource, SERVICE_NAME: service_name}.items()))
            self._resources[key] = known
        return known

    def _call(self, released: CorrelatedCall, origin: Origin | None) -> list[SpanData]:
        observed, call = released.call, released.call.event
        offset_ns = clock_offset_ns(observed)
        where = Placement(_began_ns(released) + offset_ns, observed.end_ns + offset_ns)
        last = _certain_last(released)
        position = self._position(observed, last, origin, where)
        result = _call_result(released, last)
        values = call_attributes(released, last, result, position.client_name, self._options)
        if offset_ns:
            values[CSM_TIME_ADJUSTED] = "timestamp_out_of_range"
        span = self._span(_name(call), position, where, values, result, role=SpanRole.CALL)
        return [span, *self._attempts(released, where, offset_ns, position)]

    def _attempts(
        self, released: CorrelatedCall, call: Placement, offset_ns: int, position: _Position
    ) -> list[SpanData]:
        in_order = not released.missing and not released.ambiguous
        spans = []
        for number, attempt in enumerate(released.attempts, start=1):
            own_offset_ns = attempt_offset_ns(attempt, offset_ns)
            where = _within(attempt, call, own_offset_ns)
            result = result_of(attempt.event)
            values = attempt_attributes(attempt.event, result, number if in_order else None, self._options)
            values[CSM_OVERRUN_MS] = where.overrun_ms
            is_last = number == len(released.attempts)
            values[CSM_NOT_COUNTED] = (not is_last and is_resent(attempt.event, released.call.event)) or None
            if own_offset_ns not in {0, offset_ns}:
                values[CSM_TIME_ADJUSTED] = "timestamp_out_of_range"
            context = self._context(position.context, where.start_ns)
            below = position._replace(context=context, parent=position.context)
            name = _attempt_name(attempt.event)
            spans.append(self._span(name, below, where, values, result, role=SpanRole.ATTEMPT))
        return spans

    def _orphan(self, released: OrphanAttempt, origin: Origin | None) -> SpanData:
        observed, attempt = released.attempt, released.attempt.event
        offset_ns = clock_offset_ns(observed)
        where = Placement(observed.start_ns + offset_ns, observed.end_ns + offset_ns)
        position = self._position(observed, attempt, origin, where)
        result = result_of(attempt)
        values = {
            **attempt_attributes(attempt, result, None, self._options),
            **orphan_attributes(attempt, position.client_name, self._options),
            CSM_TIME_ADJUSTED: "timestamp_out_of_range" if offset_ns else None,
        }
        return self._span(_attempt_name(attempt), position, where, values, result, role=SpanRole.ORPHAN)

    def _position(
        self, observed: Observed[Event], last: ApiCallAttempt | None, origin: Origin | None, where: Placement
    ) -> _Position:
        """Return the position of a span, by the first rule of docs/spans.md, Traces, that applies."""
        event, is_local = observed.event, observed.peer.is_loopback
        name, carried = split_client_id(event.client_id)
        believed = carried if is_local or self._options.trust_remote_context else None
        parent = self._parent
        if believed and parent and believed[:2] == (parent.trace_id, parent.span_id):
            # The client id that `exec` gave to its command: the span and the name here are not truncated.
            name = self._options.service_name or name
        elif believed:
            trace_id, span_id, sampled = believed
            parent = TraceContext(trace_id=trace_id, span_id=span_id, sampled=sampled, is_remote=True)
        resource = self.resource_of(self._service_name(name, event, last, origin), local=is_local, origin=origin)
        if parent is None and origin is not None and self._processes is not None:
            parent = self._processes.root_of(origin, resource, last_ns=where.end_ns)
        return _Position(name, resource, self._context(parent, where.start_ns), parent)

    def _context(self, parent: TraceContext | None, start_ns: int) -> TraceContext:
        return TraceContext(
            trace_id=parent.trace_id if parent else self._trace_id(start_ns),
            span_id=self._ids.generate_span_id(),
            sampled=parent.sampled if parent else True,
            trace_state=parent.trace_state if parent else "",
        )

    def _trace_id(self, start_ns: int) -> int:
        trace_id = self._ids.generate_trace_id()
        return xray_trace_id(trace_id, start_ns) if self._options.xray_trace_ids else trace_id

    def _service_name(self, client_name: str, event: Event, last: ApiCallAttempt | None, origin: Origin | None) -> str:
        agents = [agent for agent in (event.user_agent, last.user_agent if last else None) if agent]
        application = next((app for agent in agents if (app := application_of_user_agent(agent))), None)
        own = origin.name if origin else ""
        return client_name or application or self._options.service_name or own or UNKNOWN_SERVICE

    def _span(
        self, name: str, position: _Position, where: Placement, values: Values, result: Result, *, role: SpanRole
    ) -> SpanData:
        message = self._message(result)
        return SpanData(
            role=role,
            name=name,
            kind=SpanKind.CLIENT,
            context=position.context,
            parent=position.parent,
            start_ns=where.start_ns,
            end_ns=where.end_ns,
            attributes=present(values),
            events=_exception(result, message, where.end_ns),
            is_error=result.is_error,
            status_message=message,
            resource=position.resource,
        )

    def _message(self, result: Result) -> str:
        if result.failure is None or self._options.messages is MessageMode.NONE:
            return ""
        return result.failure.message


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


def _name(event: Event) -> str:
    return f"{event.service}.{event.api}" if event.service and event.api else event.service or event.api


def _attempt_name(event: Event) -> str:
    return f"{_name(event)} attempt"
