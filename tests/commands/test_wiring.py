"""The parts are connected as configured, and those that cannot be opened are replaced."""

from __future__ import annotations

import contextlib
import io
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from configured import configured, given
from delivery.samples import CALL
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otlp_backend import DEADLINE_SECONDS, HttpBackend

from csm_otel import __version__
from csm_otel.commands.wiring import build_bridge
from csm_otel.config.configuration import Configuration, configure
from csm_otel.config.settings import Settings
from csm_otel.csm.traceparent import TraceParent
from csm_otel.delivery.disk import SpoolUse
from csm_otel.engine.source import Source
from csm_otel.files.replayed_origins import ReplayedOrigins
from csm_otel.intake.receiver import Receiver
from csm_otel.process.speaker import Speaker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csm_otel.delivery.metrics import Gauges
    from csm_otel.engine.bridge import Bridge
    from csm_otel.errors import Fault


def built(
    configuration: Configuration,
    *,
    stderr: io.StringIO | None = None,
    service_name: str = "",
    receivers: Sequence[Receiver] = (),
    context: TraceParent | None = None,
    scraped: InMemoryMetricReader | None = None,
) -> tuple[Bridge, list[Fault]]:
    """Return a bridge that is closed, except for its sockets, and the faults."""
    faults: list[Fault] = []
    bridge = build_bridge(
        configuration,
        source=Source(origins=ReplayedOrigins(), service_name=service_name, receivers=receivers, context=context),
        speaker=Speaker(stderr or io.StringIO()),
        show=lambda _spans: None,
        scraped=scraped,
        faults=faults,
    )
    bridge.outlets.close(deadline_seconds=0)
    return bridge, faults


def by(**variables: str) -> Configuration:
    """Return the configuration of serve by variables whose names begin behind ``OTEL_``."""
    configuration, faults = configure("serve", given({f"OTEL_{name}": text for name, text in variables.items()}))
    assert not faults
    return configuration


@pytest.mark.parametrize(
    ("configuration", "shows", "back_end"),
    [
        pytest.param(configured("serve"), False, "http://localhost:4318/v1/traces", id="serve"),
        pytest.param(configured("replay"), True, "", id="replay"),
        pytest.param(by(TRACES_EXPORTER="otlp,console"), True, "http://localhost:4318/v1/traces", id="both"),
        pytest.param(by(SDK_DISABLED="true"), False, "", id="disabled"),
    ],
)
def test_destinations_of_spans(configuration: Configuration, back_end: str, *, shows: bool) -> None:
    """Spans go to the exporters of the configuration."""
    bridge, faults = built(configuration)

    assert faults == []
    assert (bridge.outlets.shows, bridge.outlets.back_end) == (shows, back_end)
    assert (bridge.outlets.queue is not None) == bool(back_end)


def test_each_part_that_cannot_be_opened_is_a_fault(tmp_path: Path) -> None:
    """All faults are found at once, and the bridge works without these parts: spans for the back end are shown."""
    configuration = by(
        EXPORTER_OTLP_ENDPOINT="https://c.test",
        EXPORTER_OTLP_CERTIFICATE=str(tmp_path / "no.pem"),
        TRACES_SAMPLER="sometimes",
    )
    settings = configuration.settings._replace(file=tmp_path / "no" / "file")
    bridge, faults = built(configuration._replace(settings=settings))

    assert [fault.name for fault in faults] == [
        "OTEL_TRACES_SAMPLER",
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "--file",
    ]
    assert bridge.outlets.shows
    assert (bridge.outlets.queue, bridge.outlets.file) == (None, None)


CONSOLE = "stdout is the waterfall's (OTEL_TRACES_EXPORTER=console); name a file"
COMMAND = "stdout is the command's; name a file"


@pytest.mark.parametrize(
    ("settings", "exporter", "context", "expected"),
    [
        pytest.param({"file": "-"}, "none", None, {}, id="file"),
        pytest.param({"record": "-"}, "none", None, {}, id="recording"),
        pytest.param({"record": "-", "file": "elsewhere"}, "none", None, {}, id="recording-beside-a-file"),
        pytest.param({"file": "elsewhere"}, "console", None, {}, id="console"),
        pytest.param({"file": "-"}, "console", None, {"--file": CONSOLE}, id="file-and-console"),
        pytest.param(
            {"record": "-", "file": "-"}, "console", None, {"--file": CONSOLE, "--record": CONSOLE}, id="all-three"
        ),
        pytest.param(
            {"record": "-", "file": "-"},
            "none",
            None,
            {"--file": "stdout is the recording's (--record -); name a file"},
            id="file-and-recording",
        ),
        pytest.param(
            {"record": "-", "file": "-"},
            "console",
            TraceParent(1, 2, sampled=True),
            {"--file": COMMAND, "--record": COMMAND},
            id="of-exec",
        ),
        pytest.param({"file": "elsewhere"}, "console", TraceParent(1, 2, sampled=True), {}, id="console-of-exec"),
    ],
)
def test_stdout_has_one_owner(
    settings: dict[str, str],
    exporter: str,
    context: TraceParent | None,
    expected: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """What would be mixed with other output there is a fault that names the other."""
    monkeypatch.chdir(tmp_path)
    configuration = by(TRACES_EXPORTER=exporter)
    asked = Settings(**{field: Path(value) for field, value in settings.items()})  # type: ignore[arg-type]
    receiver = Receiver.bind("127.0.0.1", 0)
    bridge, faults = built(configuration._replace(settings=asked), receivers=[receiver], context=context)
    receiver.close()

    assert {fault.name: fault.text for fault in faults} == expected
    assert ("stdout" in bridge.outlets.description) == (settings == {"file": "-"} or exporter == "console")
    assert bool(capfd.readouterr().out) == (settings.get("record") == "-" and not expected.get("--record"))


@pytest.mark.parametrize("is_replay", [True, False])
def test_only_a_replay_waits_for_the_reader_of_its_file(tmp_path: Path, *, is_replay: bool) -> None:
    """Where datagrams are received, a pipe whose reader stalls must not hold up anything."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with contextlib.closing(Receiver.bind("127.0.0.1", 0)) as receiver:
        receivers = [] if is_replay else [receiver]
        bridge, faults = built(configured(file=tmp_path / "pipe"), receivers=receivers)
    os.close(reader)

    assert faults == []
    assert bridge.outlets.file is not None
    assert bridge.outlets.file.waits_for_reader is is_replay


@pytest.mark.parametrize(("encoder", "is_official"), [("fast", False), ("official", True)])
def test_encoder(monkeypatch: pytest.MonkeyPatch, encoder: str, *, is_official: bool) -> None:
    """The encoder is the one chosen."""
    asked: list[bool] = []

    def encode(_spans: object, *, official: bool, **_: object) -> bytes:
        asked.append(official)
        return b""

    monkeypatch.setattr("csm_otel.commands.wiring.encode", encode)
    configuration, _ = configure("serve", given({"CSM_OTEL_ENCODER": encoder, "OTEL_TRACES_EXPORTER": "otlp"}))
    bridge, _ = built(configuration)
    bridge.batcher.add([CALL], now=0.0)
    bridge.batcher.flush()

    assert asked == [is_official]


def test_warnings_are_written() -> None:
    """Lines about variables with another meaning than it seems are for the operator."""
    stderr = io.StringIO()
    built(by(EXPORTER_OTLP_TIMEOUT="5"), stderr=stderr)

    assert stderr.getvalue() == (
        "csm-otel: OTEL_EXPORTER_OTLP_TIMEOUT=5 is read as seconds; the variable is in milliseconds\n"
    )


def test_warnings_of_metrics_are_written_with_their_export() -> None:
    """A line about a variable of metrics is written where they are exported, once, and not by a replay."""
    line = "csm-otel: OTEL_EXPORTER_OTLP_TIMEOUT=5 is read as seconds; the variable is in milliseconds\n"
    replayed, received = io.StringIO(), io.StringIO()
    with HttpBackend() as backend:
        configuration = by(
            METRICS_EXPORTER="otlp",
            TRACES_EXPORTER="none",
            EXPORTER_OTLP_ENDPOINT=backend.endpoint,
            EXPORTER_OTLP_TIMEOUT="5",
        )
        built(configuration, stderr=replayed)
        bridge = build_bridge(
            configuration,
            source=Source(receivers=[Receiver.bind("127.0.0.1", 0)]),
            speaker=Speaker(received),
            show=lambda _spans: None,
            faults=[],
        )
        bridge.close(deadline=time.monotonic() + DEADLINE_SECONDS)

    assert (replayed.getvalue(), received.getvalue()) == ("", line)


@pytest.mark.parametrize(
    ("source", "variables", "expected"),
    [
        pytest.param("", {}, "", id="unknown"),
        pytest.param("", {"SERVICE_NAME": "a"}, "a", id="variable"),
        pytest.param("b", {"SERVICE_NAME": "a"}, "b", id="source"),
    ],
)
def test_service_name(source: str, variables: dict[str, str], expected: str) -> None:
    """The source's name wins over the configured one."""
    bridge, _ = built(by(**variables), service_name=source)

    assert bridge.mapper._options.service_name == expected


def test_resource() -> None:
    """Each given attribute is there once, decoded; the SDK's detected ones are there, except process and service."""
    bridge, _ = built(by(RESOURCE_ATTRIBUTES="region%2Cname=us%2Cwest"))
    attributes = bridge.mapper.resource_of("x", local=True).attributes
    names = [name for name, _ in attributes]

    assert dict(attributes)["region,name"] == "us,west"
    assert dict(attributes)["telemetry.distro.version"] == __version__
    assert len(names) == len(set(names))
    assert not {name for name in names if "%" in name or name.startswith("process.")}


def test_what_the_sdk_knows_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without detectors to load, the resource has what it would have with them, in the same order."""
    without = built(by())[0].mapper.resource_of("x", local=True)
    monkeypatch.setenv("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "otel")

    assert built(by())[0].mapper.resource_of("x", local=True) == without
    assert dict(without.attributes)["telemetry.sdk.name"] == "opentelemetry"


def gauges_of(configuration: Configuration, monkeypatch: pytest.MonkeyPatch) -> tuple[Bridge, Gauges]:
    """Return a bridge that receives, and the gauges of its metrics."""
    given_to_metrics: dict[str, Any] = {}
    monkeypatch.setattr("csm_otel.delivery.metrics.Metrics", lambda _exporter, **given: given_to_metrics.update(given))
    receiver = Receiver.bind("127.0.0.1", 0)
    bridge, faults = built(configuration, receivers=[receiver])
    receiver.close()
    assert faults == []
    return bridge, given_to_metrics["gauges"]


def test_the_gauge_of_waiting_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what the queue holds: spans that are still collected for a batch are not waiting for the back end."""
    bridge, gauges = gauges_of(by(METRICS_EXPORTER="otlp"), monkeypatch)
    queue = bridge.outlets.queue
    assert queue is not None
    bridge.tally.spans_created += 3
    assert gauges.spans_waiting() == 0
    queue._ledger.add(5)
    assert gauges.spans_waiting() == 5
    assert gauges.spool() is None


def test_the_gauges_of_the_spool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """They are its size and its bound."""
    flags = {"spool": tmp_path, "spool_bytes": 2**20}
    configuration, _ = configure("serve", given({"OTEL_METRICS_EXPORTER": "otlp"}, flags=flags))
    _, gauges = gauges_of(configuration, monkeypatch)

    assert gauges.spool() == SpoolUse(0, 2**20)


def test_metrics_for_a_scraper() -> None:
    """They are there for a reader even if none are exported over OTLP, with the resource of the daemon."""
    reader = InMemoryMetricReader()
    receiver = Receiver.bind("127.0.0.1", 0)
    bridge, faults = built(by(RESOURCE_ATTRIBUTES="deployment=blue"), receivers=[receiver], scraped=reader)
    receiver.close()
    assert faults == []
    assert bridge.metrics is not None
    data = reader.get_metrics_data()
    bridge.metrics.close(deadline_seconds=0)

    assert data is not None
    (resource,) = data.resource_metrics
    assert dict(resource.resource.attributes).items() >= {"service.name": "csm-otel", "deployment": "blue"}.items()
