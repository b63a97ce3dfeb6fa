"""The log of traces: that of a process once, when it has ended, any other with its batch; and its bounds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from arrivals import called, failed, tried
from datagrams import BASE_MS
from mapped import HOST, RESOURCE, CountingIds, released_by

from csm_otel.csm.events import Origin
from csm_otel.csm.times import NS_PER_MS
from csm_otel.report.trace_log import TraceLog
from csm_otel.report.waterfall import render_waterfall
from csm_otel.spans.data import TraceContext
from csm_otel.spans.mapper import SpanMapper
from csm_otel.spans.processes import ProcessTraces

if TYPE_CHECKING:
    from csm_otel.spans.data import SpanData

START_NS = BASE_MS * NS_PER_MS
NIGHTLY = Origin(pid=7, start_ticks=70, start_ns=START_NS, name="nightly.py")
BACKUP = Origin(pid=8, start_ticks=80, start_ns=START_NS, name="backup.sh")
CARRIED = "etl;00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SO_FAR = "so far, of a process that has not ended:"


class Rig:
    """A log of 80 columns, and spans in their order of arrival."""

    def __init__(self, max_spans: int = 1000) -> None:
        self.log = TraceLog(width=80, ascii_only=True, max_spans=max_spans)
        ids = CountingIds()
        self._processes = ProcessTraces(ids=ids, decide=lambda root: root)
        self._mapper = SpanMapper(ids=ids, resource=RESOURCE, host_name=HOST, processes=self._processes)

    def call(self, origin: Origin | None, start: int = 100, **changes: Any) -> list[SpanData]:
        """Return the spans of a call of 100 ms and its attempt."""
        end = start + 100
        (released,) = released_by(tried("a", start, end, **changes), called(start, end, **changes))
        return self._mapper.map(released, origin)

    def orphan(self, origin: Origin) -> list[SpanData]:
        """Return the span of an attempt without its call."""
        (released,) = released_by(tried("a", 300, 350, **failed()))
        return self._mapper.map(released, origin)

    def root(self, origin: Origin, end: int = 500) -> SpanData:
        """Return the root of a process that ended ``end`` ms after `BASE_MS`."""
        self._processes.end(origin, end_ns=(BASE_MS + end) * NS_PER_MS)
        (root,) = self._processes.completed()
        return root


def heads(text: str) -> list[str]:
    """Return the names of the waterfalls in a text."""
    return re.findall(r"^(\S.*?)  [\d.]+ m?s  trace ", text, re.MULTILINE)


def test_a_process_is_rendered_once_and_whole() -> None:
    """Its waterfall is rendered with its root, in any batches, and has every call and orphan."""
    rig = Rig()
    batches = [rig.call(NIGHTLY), [*rig.call(NIGHTLY, 210), *rig.orphan(NIGHTLY)]]
    root = rig.root(NIGHTLY)

    texts = [rig.log.add(batch) for batch in [*batches, [root]]]

    whole = render_waterfall([*batches[0], *batches[1], root], width=80, color=False, ascii_only=True)
    assert texts == ["", "", whole]
    assert "2 calls, 0 failed, 1 attempt without its call" in whole
    assert not rig.log.flush()


def test_a_command_below_another_program() -> None:
    """A root may have a parent elsewhere, as the command of `exec` may."""
    rig = Rig()
    calls = rig.call(NIGHTLY)
    elsewhere = TraceContext(trace_id=1, span_id=1, is_remote=True)
    root = msgspec.structs.replace(rig.root(NIGHTLY), parent=elsewhere)

    assert not rig.log.add(calls)
    assert heads(rig.log.add([root])) == ["nightly.py"]
    assert not rig.log.flush()


def test_processes_are_rendered_in_the_order_of_their_ends() -> None:
    """The order is neither that of their starts nor of their calls, and a root without calls is rendered as well."""
    rig = Rig()
    calls = [*rig.call(NIGHTLY), *rig.call(BACKUP, 300)]
    backup, nightly = rig.root(BACKUP), rig.root(NIGHTLY)

    text = rig.log.add([*calls, backup, nightly])

    assert heads(text) == ["backup.sh", "nightly.py"]
    assert "\n\nnightly.py  " in text


def test_other_traces_are_rendered_with_their_batch() -> None:
    """A call that is a trace, or below a span of another program, does not wait, and does not flush traces that do."""
    rig = Rig()

    text = rig.log.add([*rig.call(None), *rig.call(NIGHTLY), *rig.call(NIGHTLY, ClientId=CARRIED)])

    assert heads(text) == ["S3.GetObject", "etl: S3.GetObject"]
    assert text.count("S3.GetObject ") == 4
    assert heads(rig.log.add([rig.root(NIGHTLY)])) == ["nightly.py"]


def test_spans_after_the_root() -> None:
    """Later spans are rendered with their batch, with the number of calls shown before."""
    rig = Rig()
    first, late = rig.call(NIGHTLY), rig.call(NIGHTLY, 210)
    rig.log.add([*first, rig.root(NIGHTLY)])

    text = rig.log.add(late)

    assert heads(text) == ["nightly.py: S3.GetObject"]
    assert text.endswith("\n1 call of this trace shown before\n")
    assert not rig.log.flush()


def test_attempts_shown_before_are_no_calls() -> None:
    """What was shown of a trace is counted by what it was."""
    rig = Rig()
    rig.log.add([*rig.call(NIGHTLY), *rig.orphan(NIGHTLY), rig.root(NIGHTLY)])

    assert rig.log.add(rig.call(NIGHTLY, 210)).endswith(
        "\n1 call and 1 attempt without its call of this trace shown before\n"
    )


def test_too_much_waits() -> None:
    """The longest trace is rendered incomplete, and its later part says so; the others keep waiting."""
    rig = Rig(max_spans=5)
    assert not rig.log.add([*rig.call(BACKUP), *rig.call(NIGHTLY)])

    so_far = rig.log.add([*rig.call(NIGHTLY, 210), *rig.call(BACKUP, 210), *rig.call(NIGHTLY, 320)])
    rest = rig.log.add([*rig.call(NIGHTLY, 430), rig.root(NIGHTLY)])

    assert so_far.splitlines()[0] == SO_FAR
    assert so_far.count("S3.GetObject  ") == 3 + 1
    assert heads(rest) == ["nightly.py"]
    assert rest.splitlines()[2:] == [
        "3 calls of this trace shown before",
        "1 call, 0 failed; 70 ms of 500 ms in AWS calls",
    ]
    assert heads(rig.log.add([rig.root(BACKUP)])) == ["backup.sh"]


def test_a_root_whose_calls_were_all_shown() -> None:
    """A root whose calls were all shown before does not claim that there were none."""
    rig = Rig(max_spans=1)
    rig.log.add(rig.call(NIGHTLY))

    assert rig.log.add([rig.root(NIGHTLY)]).splitlines()[1:] == ["1 call of this trace shown before"]


def test_flush() -> None:
    """At shutdown each waiting trace is rendered."""
    rig = Rig()
    rig.log.add([*rig.call(NIGHTLY), *rig.call(BACKUP)])

    text = rig.log.flush()

    assert text.count(SO_FAR) == 2
    assert heads(text) == ["nightly.py: S3.GetObject", "backup.sh: S3.GetObject"]
    assert not rig.log.flush()
