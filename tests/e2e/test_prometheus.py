"""Metrics of `csm-otel serve` as Prometheus scrapes them; a real Prometheus is in tests/interop/test_prometheus.py."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

import pytest
from datagrams import attempt, call
from e2e.programs import DEADLINE_SECONDS, ONE_CALL_SENT, environment, has_traceback, lines_of, run, serving
from e2e.test_metrics import times
from otlp_backend import HttpBackend, wait_until
from prometheus_client.openmetrics import parser

if TYPE_CHECKING:
    from e2e.programs import Serving
    from prometheus_client.samples import Sample

EXEC_LINE = "csm-otel: OTEL_METRICS_EXPORTER: prometheus is for serve; a command ends before it is scraped, use otlp"


def scraped(**more: str) -> dict[str, str]:
    """Return an environment with metrics for Prometheus at any free port."""
    otel = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": "0"}
    return environment(**(otel | more))


class Scraper:
    """Scrapes a daemon as Prometheus does."""

    def __init__(self, daemon: Serving) -> None:
        (line,) = re.findall(r"^csm-otel: metrics at (.+)$", daemon.line, re.MULTILINE)
        self.urls = line.split(" and ")
        self.samples: list[Sample] = []
        """Of the last scrape."""
        self.exemplars: set[tuple[str, str, float]] = set()
        """Trace, span and value of all scrapes: each exemplar is in one of them."""

    def scrape(self) -> None:
        """Scrape once."""
        asked = Request(self.urls[0], headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        with urlopen(asked, timeout=DEADLINE_SECONDS) as answer:
            families = parser.text_string_to_metric_families(answer.read().decode())  # type: ignore[no-untyped-call]
            self.samples = [sample for family in families for sample in family.samples]
        for one in (sample.exemplar for sample in self.samples if sample.exemplar):
            self.exemplars.add((one.labels["trace_id"], one.labels["span_id"], one.value))

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the last samples of that name that have these labels."""
        return sum(one.value for one in self.samples if one.name == name and labels.items() <= one.labels.items())

    def has_scraped(self, name: str, expected: float, **labels: str) -> bool:
        """Scrape, and return whether a value is the expected one."""
        self.scrape()
        return self.value(name, **labels) == expected


def send(daemon: Serving, *payloads: bytes) -> None:
    """Send datagrams to a daemon."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for payload in payloads:
            sock.sendto(payload, daemon.address)


def test_what_is_scraped_is_what_was_sent() -> None:
    """Counts and histograms equal the datagrams, and each exemplar is a span of the back end, with its duration."""
    sent = [
        attempt(**times(0, 10, "AttemptLatency"), HttpStatusCode=500, AwsException="InternalError"),
        attempt(**times(20, 20, "AttemptLatency")),
        call(**times(0, 40, "Latency"), AttemptCount=2),
        b"garbage",
    ]
    with HttpBackend() as backend:
        to_back_end = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": backend.endpoint}
        with serving(env=scraped(**to_back_end, OTEL_BSP_SCHEDULE_DELAY="20")) as daemon:
            scraper = Scraper(daemon)
            send(daemon, *sent)
            wait_until(lambda: scraper.has_scraped("csm_otel_spans_exported_total", 3, outcome="delivered"))
            assert daemon.stop() == 0
        spans = {
            (span.trace_id.hex(), span.span_id.hex(), (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9)
            for span in backend.spans
        }
        roots = {(span.trace_id.hex(), span.span_id.hex(), 2.0) for span in backend.spans if not span.parent_span_id}

    assert len(spans) == 3
    assert scraper.exemplars == spans | roots
    ok = {"rpc_method": "S3/GetObject", "rpc_system_name": "aws-api", "cloud_region": "us-east-1"}
    assert scraper.value("csm_otel_datagrams_received_total") == len(sent)
    assert scraper.value("csm_otel_datagrams_invalid_total", reason="not_json") == 1
    assert scraper.value("csm_otel_calls_total") == 1
    assert scraper.value("rpc_client_call_duration_seconds_count", **ok) == 1
    assert scraper.value("rpc_client_call_duration_seconds_sum", **ok) == pytest.approx(0.04)
    assert scraper.value("csm_otel_call_attempts_sum", **ok) == 2
    assert scraper.value("csm_otel_attempt_duration_seconds_count", error_type="InternalError") == 1
    assert not has_traceback(daemon.rest)


def test_calls_that_are_not_sampled_are_no_exemplars() -> None:
    """They are measured like others, and no exemplar leads to a trace that nobody has."""
    with serving(env=scraped(OTEL_TRACES_SAMPLER="always_off")) as daemon:
        scraper = Scraper(daemon)
        send(daemon, call(AttemptCount=0))
        wait_until(lambda: scraper.has_scraped("rpc_client_call_duration_seconds_count", 1))
        assert daemon.stop() == 0
    assert scraper.exemplars == set()


def test_beside_otlp_and_at_the_port_of_health() -> None:
    """Both exporters may be on; with `--health`, its port has the metrics, and no other unless it is asked for."""
    with HttpBackend() as backend:
        env = scraped(OTEL_METRICS_EXPORTER="prometheus,otlp", OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint)
        del env["OTEL_EXPORTER_PROMETHEUS_PORT"]
        with serving("--health", "0", env=env) as daemon:
            scraper = Scraper(daemon)
            (health,) = re.findall(r"health at (\S+)/healthz", daemon.line)
            assert scraper.urls == [f"{health}/metrics"]
            send(daemon, call(AttemptCount=0))
            wait_until(lambda: scraper.has_scraped("csm_otel_calls_total", 1))
            assert daemon.stop() == 0
        (point,) = backend.points("csm_otel.calls")
        assert point.as_int == 1  # type: ignore[union-attr]


def test_a_port_in_use() -> None:
    """If the port belongs to another program, it does not start: it exits with 1 and one line."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--port", "0", env=scraped(OTEL_EXPORTER_PROMETHEUS_PORT=str(port)))
    assert done.returncode == 1
    assert lines_of(done.stderr) == [
        f"csm-otel: OTEL_EXPORTER_PROMETHEUS_HOST or _PORT: cannot listen on localhost:{port}: address already in use",
    ]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        pytest.param("PORT", "70000", "PORT: '70000' is not a whole number from 0 to 65535", id="no-port"),
        pytest.param(
            "HOST", "0.0.0.0", "HOST: 0.0.0.0 is no loopback address; allow it with --allow-remote", id="host"
        ),
    ],
)
def test_bad_settings(name: str, text: str, line: str) -> None:
    """What cannot be used, or must not be without a flag, ends it with 2 and one line."""
    done = run("serve", "--port", "0", env=scraped(**{f"OTEL_EXPORTER_PROMETHEUS_{name}": text}))

    assert (done.returncode, lines_of(done.stderr)) == (2, [f"csm-otel: OTEL_EXPORTER_PROMETHEUS_{line}"])


@pytest.mark.parametrize("exporters", ["prometheus", "prometheus,otlp"])
def test_a_command_is_not_scraped(exporters: str) -> None:
    """Under `exec` a line says so; the command's result and its trace are as ever, and OTLP is exported if it is on."""
    with HttpBackend() as backend:
        env = scraped(
            OTEL_METRICS_EXPORTER=exporters,
            OTEL_TRACES_EXPORTER="otlp",
            OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint,
            OTEL_EXPORTER_PROMETHEUS_PORT="no port",
        )
        done = run("exec", "--", *ONE_CALL_SENT[:-1], "3", env=env)

        assert done.returncode == 3
        assert lines_of(done.stderr).count(EXEC_LINE) == 1
        assert len(backend.spans) >= 2
        assert bool(backend.metric_requests) == ("otlp" in exporters)
