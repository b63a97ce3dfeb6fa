"""One trace per process: which calls are below its root, and when and how the root leaves; names by origin."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from arrivals import called, failed, tried
from datagrams import BASE_MS
from mapped import HOST, RESOURCE, CountingIds, released_by

from csm_otel.csm.events import Origin
from csm_otel.csm.times import NS_PER_MS
from csm_otel.spans.data import Resource, SpanData, SpanKind, TraceContext
from csm_otel.spans.mapper import SpanMapper
from csm_otel.spans.options import MappingOptions
from csm_otel.spans.processes import ProcessTraces

START_NS = (BASE_MS - 500) * NS_PER_MS
NIGHTLY = Origin(pid=7, start_ticks=70, start_ns=START_NS, name="nightly.py", executable="python3.11")
BACKUP = Origin(pid=8, start_ticks=80, start_ns=START_NS, name="backup.sh", executable="bash", container_id="c0ffee")
TRACE, SPAN = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7
CARRIED = f"etl;00-{TRACE:032x}-{SPAN:016x}-01"
EXEC = TraceContext(trace_id=TRACE, span_id=SPAN)
APP: dict[str, Any] = {"UserAgent": "Boto3/1.44.5 app/billing"}


class Rig:
    """A mapper by process."""

    def __init__(
        self,
        *,
        parent: TraceContext | None = None,
        is_sampled: bool = True,
        max_processes: int = 10,
        service_name: str = "",
        xray_trace_ids: bool = False,
    ) -> None:
        self.asked: list[str] = []
        self._is_sampled = is_sampled
        self.processes = ProcessTraces(
            ids=CountingIds(), decide=self._decide, max_processes=max_processes, xray_trace_ids=xray_trace_ids
        )
        self._mapper = SpanMapper(
            ids=CountingIds(),
            resource=RESOURCE,
            host_name=HOST,
            options=MappingOptions(service_name=service_name),
            parent=parent,
            processes=self.processes,
        )

    def _decide(self, root: SpanData) -> SpanData:
        self.asked.append(root.name)
        return msgspec.structs.replace(
            root, context=msgspec.structs.replace(root.context, sampled=self._is_sampled, trace_state="s=1")
        )

    def call(self, origin: Origin | None, end: int = 30, /, *, host: str = "127.0.0.1", **changes: Any) -> SpanData:
        """Return the span of a call that ended ``end`` ms after `BASE_MS`."""
        arrival = called(end - 30, end, AttemptCount=0, **changes)._replace(host=host)
        (released,) = released_by(arrival)
        return self._mapper.map(released, origin)[0]

    def orphan(self, origin: Origin | None) -> SpanData:
        """Return the span of an attempt without its call."""
        (released,) = released_by(tried("", 0, 30, **failed()))
        return self._mapper.map(released, origin)[0]


def root_id(span: SpanData) -> tuple[int, int]:
    """Return the trace of a span and its parent."""
    assert span.parent is not None
    return span.context.trace_id, span.parent.span_id


def test_the_calls_of_a_process_are_below_it() -> None:
    """All calls of a process, its orphans too, are children of one span, which is exported when the process ends."""
    rig = Rig()
    spans = [rig.call(NIGHTLY), rig.call(NIGHTLY, 99), rig.orphan(NIGHTLY)]
    assert rig.processes.completed() == []

    rig.processes.end(NIGHTLY, end_ns=(BASE_MS + 250) * NS_PER_MS)

    (root,) = rig.processes.completed()
    assert {(root.context.trace_id, root.context.span_id)} == {root_id(span) for span in spans}
    assert (root.name, root.kind, root.parent) == ("nightly.py", SpanKind.INTERNAL, None)
    assert (root.start_ns, root.end_ns) == (START_NS, (BASE_MS + 250) * NS_PER_MS)
    assert root.attributes == {"csm.synthetic": True}
    assert root.resource == spans[0].resource
    assert rig.processes.completed() == []


def test_two_processes_are_two_traces() -> None:
    """Each process is a trace, also one that got another's pid; a known one is met again however it is described."""
    rig = Rig()
    again = msgspec.structs.replace(NIGHTLY, start_ticks=71)
    redescribed = msgspec.structs.replace(NIGHTLY, start_ns=START_NS + 1, name="renamed")

    first, other, later, same = (root_id(rig.call(one)) for one in (NIGHTLY, BACKUP, again, redescribed))

    assert len({first, other, later}) == 3
    assert same == first


@pytest.mark.parametrize(
    ("end_ns", "expected_ms", "attributes"),
    [
        pytest.param((BASE_MS + 250) * NS_PER_MS, 250, {}, id="known"),
        pytest.param(None, 99, {"csm.process.end": "last_event"}, id="last-event"),
        pytest.param(0, -500, {}, id="never-before-its-start"),
    ],
)
def test_its_end(end_ns: int | None, expected_ms: int, attributes: dict[str, str]) -> None:
    """The root ends when the process did, or with its last call where that is not known, never before its start."""
    rig = Rig()
    for end in (30, 99, 60):
        rig.call(NIGHTLY, end)

    rig.processes.end(NIGHTLY, end_ns=end_ns)

    (root,) = rig.processes.completed()
    assert root.end_ns == (BASE_MS + expected_ms) * NS_PER_MS
    assert root.attributes == {"csm.synthetic": True, **attributes}


def test_calls_after_its_end() -> None:
    """A call that is released after its process's end is in its trace; a first one brings the root along."""
    rig = Rig()
    rig.processes.end(NIGHTLY, end_ns=(BASE_MS + 250) * NS_PER_MS)
    assert rig.processes.completed() == []
    first = rig.call(NIGHTLY)
    (root,) = rig.processes.completed()

    assert root_id(first) == root_id(rig.orphan(NIGHTLY)) == (root.context.trace_id, root.context.span_id)
    assert root.end_ns == (BASE_MS + 250) * NS_PER_MS
    assert rig.processes.completed() == []


def test_those_that_still_live() -> None:
    """At the daemon's end the roots of living processes are exported with their last event, each once."""
    rig = Rig()
    rig.call(NIGHTLY)
    rig.call(BACKUP, 60)
    rig.processes.end(NIGHTLY, end_ns=(BASE_MS + 250) * NS_PER_MS)
    for _ in range(2):
        rig.processes.flush()

    assert [("nightly.py", None), ("backup.sh", "last_event")] == [
        (root.name, root.attributes.get("csm.process.end")) for root in rig.processes.completed()
    ]


def test_too_many_processes() -> None:
    """Beyond the bound the process without calls for longest is forgotten, not without its root."""
    rig = Rig(max_processes=2)
    origins = [msgspec.structs.replace(NIGHTLY, pid=pid, name=str(pid)) for pid in (1, 2, 3)]
    for origin in (origins[0], origins[1], origins[0], origins[2]):
        rig.call(origin)

    assert [root.name for root in rig.processes.completed()] == ["2"]


def test_the_first_rule_that_applies() -> None:
    """A context in the client id wins, then the command of exec; calls of an unknown sender are a trace each."""
    rig = Rig()
    assert root_id(rig.call(NIGHTLY, ClientId=CARRIED)) == (TRACE, SPAN)
    assert rig.call(None).parent is None
    rig.processes.flush()
    assert rig.processes.completed() == []
    assert root_id(Rig(parent=EXEC).call(NIGHTLY)) == (TRACE, SPAN)
    assert root_id(rig.call(NIGHTLY, host="192.0.2.1", ClientId=CARRIED)) != (TRACE, SPAN)


@pytest.mark.parametrize("is_sampled", [True, False])
def test_one_decision_for_the_whole_trace(*, is_sampled: bool) -> None:
    """The sampler is asked about the root when the first call comes, and every call has its answer."""
    rig = Rig(is_sampled=is_sampled)
    calls = [rig.call(NIGHTLY), rig.call(NIGHTLY)]
    rig.processes.end(NIGHTLY, end_ns=None)
    (root,) = rig.processes.completed()

    assert rig.asked == ["nightly.py"]
    assert {(is_sampled, "s=1")} == {(span.context.sampled, span.context.trace_state) for span in (root, *calls)}


@pytest.mark.parametrize(
    ("client_id", "agent", "service_name", "expected"),
    [
        pytest.param("etl", APP, "configured", "etl", id="client-id"),
        pytest.param(CARRIED, APP, "configured", "etl", id="head-of-client-id"),
        pytest.param("", APP, "configured", "billing", id="app"),
        pytest.param("", {}, "configured", "configured", id="configured"),
        pytest.param("", {}, "", "nightly.py", id="origin"),
    ],
)
def test_the_name_of_its_service(client_id: str, agent: dict[str, str], service_name: str, expected: str) -> None:
    """The name that a sender sends precedes the configured one, and the name of its process comes last."""
    span = Rig(service_name=service_name).call(NIGHTLY, ClientId=client_id, **agent)

    assert span.resource.service_name == expected


def test_the_resource_names_the_process() -> None:
    """Pid, program and container are the resource's, where they are known; one process is one resource."""
    rig = Rig()

    assert rig.call(NIGHTLY).resource is rig.call(NIGHTLY).resource
    assert rig.call(None).resource == Resource(
        (("host.name", HOST), *RESOURCE.items(), ("service.name", "unknown_service"))
    )
    assert dict(rig.call(NIGHTLY).resource.attributes) == {
        **RESOURCE,
        "host.name": HOST,
        "service.name": "nightly.py",
        "process.pid": 7,
        "process.executable.name": "python3.11",
    }
    assert dict(rig.call(BACKUP).resource.attributes)["container.id"] == "c0ffee"


def test_xray_ids_have_the_time_of_the_first_call() -> None:
    """Not that of the process, which may have started longer ago than X-Ray accepts."""
    rig = Rig(xray_trace_ids=True)
    old = msgspec.structs.replace(NIGHTLY, start_ns=1)
    first, second = rig.call(old), rig.call(old, 60_000)

    assert first.context.trace_id >> 96 == (BASE_MS + 30) // 1000
    assert second.context.trace_id == first.context.trace_id
