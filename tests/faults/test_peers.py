"""The comparison with other daemons: its parsers, its judgement, and its scenarios with csm-otel alone."""

from __future__ import annotations

import signal
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from platforms import on_linux

from soak.backend import CountingBackend
from soak.peers import installed, rate, scenarios
from soak.peers.collector import dropped_in, otlp_requests
from soak.peers.exposition import Exposition
from soak.peers.ours import CsmOtel
from soak.peers.outcome import Outcome, behind, inexact, rendered
from soak.traffic import datagram, name_of, names_of

if TYPE_CHECKING:
    from pathlib import Path

    from soak.peers.program import Program

DEADLINE_SECONDS = 60.0
EXPOSED = """\
# HELP otelcol_exporter_send_failed_spans Number of spans
# TYPE otelcol_exporter_send_failed_spans counter
otelcol_exporter_send_failed_spans{exporter="otlp_http",error="a } b"} 20
otelcol_exporter_send_failed_spans{exporter="other"} 1.5e+02
statsd_exporter_udp_packet_drops_total 3
sent_to_statsd{padding="xx x"} 4 1795652751466
"""


def ours(**changes: Any) -> Outcome:
    """Return an outcome of csm-otel without a loss."""
    outcome = Outcome("an outage", "csm-otel, spool", sent=100, arrived=100, reported=0, repeated=0, seconds=1.25)
    return outcome._replace(**changes)


def other(**changes: Any) -> Outcome:
    """Return an outcome of another program."""
    return ours(program="other", **changes)


@pytest.mark.parametrize(
    ("names", "total"),
    [
        pytest.param(["otelcol_exporter_send_failed_spans"], 170, id="labels are summed"),
        pytest.param(["otelcol_exporter_send_failed_spans_total"], 170, id="one name, with or without suffix"),
        pytest.param(["statsd_exporter_udp_packet_drops_total", "sent_to_statsd"], 7, id="several, one with a time"),
        pytest.param(["never_counted_total"], 0, id="absent"),
    ],
)
def test_a_programs_own_counts_are_read(names: list[str], total: int) -> None:
    """Counters are found by name, summed over all labels."""
    assert total == Exposition(EXPOSED).total(*names)


def test_an_invalid_page_of_counts() -> None:
    """A page in another format is an error, not a loss of 0."""
    with pytest.raises(ValueError, match="no sample"):
        Exposition("<html>not found</html>")


def test_drops_in_a_log() -> None:
    """The numbers of dropped items are summed, and other numbers are not."""
    log = 'error Dropping data. {"error": "500 of 9", "dropped_items": 20}\ninfo {"items": 7}\n{"dropped_items":2}\n'
    assert 22 == dropped_in(log)
    assert 0 == dropped_in("info Everything is ready.")


def test_requests_to_the_collector() -> None:
    """The requests have the spans of as many datagrams, each once, and the number of spans so far."""
    requests = list(otlp_requests(50))
    names = [
        span.name
        for _, request in requests
        for resource_spans in ExportTraceServiceRequest.FromString(request).resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]
    assert [20, 40, 50] == [so_far for so_far, _ in requests]
    assert sorted(names_of(50)) == sorted(names)


def test_logs_count_as_spans() -> None:
    """A back end counts a datagram in a log record as its span, repeats included."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for number in (0, 1, 1):
        records.add().body.string_value = datagram(number).decode()
    with CountingBackend() as backend:
        url = f"{backend.endpoint}/v1/logs"
        urllib.request.urlopen(urllib.request.Request(url, request.SerializeToString(), method="POST")).close()
    assert {name_of(0), name_of(1)} == backend.names
    assert 3 == backend.spans_arrived


@pytest.mark.parametrize(
    ("outcome", "lines"),
    [
        pytest.param(ours(), [], id="nothing lost"),
        pytest.param(ours(arrived=90, reported=10), [], id="reported exactly"),
        pytest.param(ours(arrived=90, reported=None), [], id="killed"),
        pytest.param(ours(arrived=90), ["an outage: csm-otel, spool lost 10 and reported 0"], id="lost silently"),
        pytest.param(
            ours(reported=10), ["an outage: csm-otel, spool lost 0 and reported 10"], id="reported and not lost"
        ),
        pytest.param(other(arrived=90), [], id="of another program"),
    ],
)
def test_a_misreported_loss_is_found(outcome: Outcome, lines: list[str]) -> None:
    """csm-otel must report its loss to the span, unless it was killed."""
    assert lines == inexact([outcome])


@pytest.mark.parametrize(
    ("outcomes", "lines"),
    [
        pytest.param([ours(), other(arrived=1)], [], id="better"),
        pytest.param([ours(arrived=90), other(arrived=90)], [], id="equal"),
        pytest.param(
            [ours(arrived=90), other(arrived=91)],
            ["an outage: csm-otel, spool lost 10 of 100, other 9 of 100"],
            id="worse",
        ),
        pytest.param([ours(arrived=90), other(sent=200, arrived=181)], [
            "an outage: csm-otel, spool lost 10 of 100, other 19 of 200"
        ], id="worse by share"),
        pytest.param(
            [ours(repeated=3), other(repeated=2)],
            ["an outage: csm-otel, spool repeated 3 of 100, other 2 of 100"],
            id="more repeats",
        ),
        pytest.param([ours(arrived=90), other(scenario="a pause")], [], id="in another scenario"),
        pytest.param([ours(arrived=90), ours()], [], id="than itself"),
    ],
)  # fmt: skip
def test_a_better_program_is_found(outcomes: list[Outcome], lines: list[str]) -> None:
    """If another program loses or repeats less in the same scenario, it is reported."""
    assert lines == behind(outcomes)


def test_the_table() -> None:
    """A line has the loss beside the reported loss, and shows where nothing could be reported."""
    lines = rendered(
        [ours(sent=2500, arrived=92, reported=2408), other(arrived=40, reported=None, repeated=3, seconds=None)]
    )
    assert (
        "| an outage | csm-otel, spool | 2,500 | 92 | 2,408 | 2,408 | 0 | 1.2 s |\n"
        "| an outage | other | 100 | 40 | 60 | unknown | 3 |  |"
    ) == lines


def test_missing_programs_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the programs, or without Go to build them, the reason is reported."""
    monkeypatch.setenv("CSM_OTEL_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "otelcol needs go on the PATH" == installed.collector().why_not()
    (tmp_path / "go").touch(mode=0o755)
    assert "statsd_exporter is not installed: make peers does it" == installed.statsd_exporter().why_not()


def refused(program: Program, *, per_second: float) -> Outcome:
    """Run a short outage for one program."""
    (outcome,) = scenarios.refused("", [program], seconds=0.5, per_second=per_second, quiet_seconds=DEADLINE_SECONDS)
    return outcome


def test_an_outage() -> None:
    """Everything sent arrives once the back end is there."""
    outcome = refused(CsmOtel(OTEL_BSP_SCHEDULE_DELAY="100"), per_second=400)
    assert (200, 200, 0, 0) == (outcome.sent, outcome.arrived, outcome.reported, outcome.repeated)


@on_linux
def test_an_end_in_an_outage() -> None:
    """Without a spool, spans lost at the end are seen as lost, and as reported."""
    flags = ("--drain-seconds", "1")
    (outcome,) = scenarios.ended(
        "", [CsmOtel("", *flags)], number=signal.SIGTERM, seconds=0.5, per_second=400, quiet_seconds=0.5
    )
    assert (200, 200, 200) == (outcome.sent, outcome.lost, outcome.reported)


@on_linux
def test_a_kill_in_an_outage(tmp_path: Path) -> None:
    """After a kill nothing is reported, and the spans on disk arrive."""
    program = CsmOtel("", "--spool", tmp_path, OTEL_BSP_SCHEDULE_DELAY="50")
    (outcome,) = scenarios.ended("", [program], number=signal.SIGKILL, seconds=1, per_second=300, quiet_seconds=0.5)
    assert outcome.reported is None
    assert 0 < outcome.arrived <= outcome.sent == 300


def test_faults() -> None:
    """Cut, reset and stalled connections lose nothing."""
    program = CsmOtel(OTEL_BSP_SCHEDULE_DELAY="100", OTEL_EXPORTER_OTLP_TIMEOUT="500")
    (outcome,) = scenarios.faulty(
        "", [program], seconds=2, per_second=150, timeout_seconds=0.5, quiet_seconds=DEADLINE_SECONDS
    )
    assert (300, 0, 0) == (outcome.sent, outcome.lost, outcome.reported)


@on_linux
def test_a_pause() -> None:
    """Datagrams that a small buffer does not hold are seen as lost, and as reported."""
    program = CsmOtel("", "--receive-buffer-bytes", "106496", OTEL_BSP_SCHEDULE_DELAY="100")
    (outcome,) = scenarios.paused("", [program], count=1000, size=1000, quiet_seconds=1)
    assert outcome.is_reported_exactly
    assert 0 < outcome.lost < outcome.sent == 1000


@on_linux
def test_rates_are_searched() -> None:
    """A program gets the workload of its kind, and a row with what it sustained."""
    (found,) = rate.rates([CsmOtel(OTEL_BSP_SCHEDULE_DELAY="100")], seconds=1.0, guess=50, most=50)

    assert found.program == "csm-otel"
    assert rate.rendered([found._replace(per_second=1234.5, us_a_datagram=6.78, fault="")]) == (
        "| csm-otel | 1,234 | 6.8 us | the senders are no faster |"
    )
