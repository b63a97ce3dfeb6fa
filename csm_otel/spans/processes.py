"""One trace per process, with the process as its root span: `ProcessTraces`.

The root span is created with the first call that needs a parent, and sampled then, for all spans below it. It is
complete when the process has ended; calls may be released before and after that.
docs/spans.md, Process span, has its attributes.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from csm_otel.csm.xray import xray_trace_id
from csm_otel.spans.attributes import CSM_PROCESS_END, CSM_SYNTHETIC
from csm_otel.spans.data import Resource, Shape, SpanData, SpanKind, SpanRole, TraceContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from csm_otel.csm.events import Origin
    from csm_otel.spans.ids import IdGenerator

_LAST_EVENT = "last_event"
_MAX_PROCESSES = 4096  # processes; calls may be released long after their process has ended


class _Process:
    __slots__ = ("end_ns", "has_ended", "is_complete", "last_ns", "root")

    def __init__(self) -> None:
        self.root: SpanData | None = None
        self.last_ns = 0
        self.has_ended = False
        self.end_ns: int | None = None
        self.is_complete = False


class ProcessTraces:
    """The root spans of running and of recently ended processes; for one thread."""

    def __init__(
        self,
        *,
        ids: IdGenerator,
        decide: Callable[[SpanData], SpanData],
        max_processes: int = _MAX_PROCESSES,
        xray_trace_ids: bool = False,
    ) -> None:
        """Sample each root with ``decide``, which returns it with its decision.

        ``xray_trace_ids`` as in `MappingOptions`; the time is that of the first call, as a process may be older than
        X-Ray accepts.

        Beyond ``max_processes`` the one without a call for the longest time is evicted: its root is completed.
        """
        self._ids = ids
        self._decide = decide
        self._max_processes = max_processes
        self._xray_trace_ids = xray_trace_ids
        self._processes: OrderedDict[tuple[int, int], _Process] = OrderedDict()
        self._completed: list[SpanData] = []

    def root_of(self, origin: Origin, resource: Resource, *, last_ns: int) -> TraceContext:
        """Return the context of the root span of a process, which is created if necessary.

        ``resource`` is that of the call below it, which ended at ``last_ns`` (epoch nanoseconds).
        """
        process = self._process(origin.process)
        process.last_ns = max(process.last_ns, last_ns)
        if process.root is None:
            process.root = self._decide(self._begin(origin, resource, last_ns))
            if process.has_ended:
                self._complete(process)
        return process.root.context

    def end(self, origin: Origin, *, end_ns: int | None) -> None:
        """Complete the root of a process that has ended, at ``end_ns`` where that is known (epoch nanoseconds).

        Without a root yet, it is completed as soon as a call creates it.
        """
        process = self._process(origin.process)
        process.has_ended, process.end_ns = True, end_ns
        self._complete(process)

    def flush(self) -> None:
        """Complete the roots of the processes that are still running."""
        for process in self._processes.values():
            self._complete(process)

    def completed(self) -> list[SpanData]:
        """Return the root spans completed since the last call, each once."""
        completed, self._completed = self._completed, []
        return completed

    def _process(self, key: tuple[int, int]) -> _Process:
        process = self._processes.setdefault(key, _Process())
        self._processes.move_to_end(key)
        if len(self._processes) > self._max_processes:
            _, forgotten = self._processes.popitem(last=False)
            self._complete(forgotten)
        return process

    def _begin(self, origin: Origin, resource: Resource, time_ns: int) -> SpanData:
        trace_id = self._ids.generate_trace_id()
        if self._xray_trace_ids:
            trace_id = xray_trace_id(trace_id, time_ns)
        shape = Shape(
            role=SpanRole.PROCESS,
            name=origin.name,
            kind=SpanKind.INTERNAL,
            resource=resource,
            attributes={CSM_SYNTHETIC: True},
        )
        context = TraceContext(trace_id=trace_id, span_id=self._ids.generate_span_id())
        return SpanData(shape=shape, context=context, parent=None, start_ns=origin.start_ns, end_ns=origin.start_ns)

    def _complete(self, process: _Process) -> None:
        root = process.root
        if root is None or process.is_complete:
            return
        process.is_complete = True
        end_ns = process.end_ns
        if end_ns is None:
            end_ns, root = process.last_ns, root.with_attributes({**root.attributes, CSM_PROCESS_END: _LAST_EVENT})
        self._completed.append(msgspec.structs.replace(root, end_ns=max(root.start_ns, end_ns)))
