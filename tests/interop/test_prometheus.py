"""A real Prometheus that scrapes a real daemon: counts, exemplars, rules and dashboard."""

from __future__ import annotations

import itertools
import json
import math
import re
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pytest
from datagrams import attempt, call
from e2e.programs import environment, serving
from interop.install_grafana import dashboard_check
from interop.install_prometheus import program, prometheus
from interop.installable import run
from interop.prometheus import running_prometheus
from otlp_backend import DEADLINE_SECONDS, HttpBackend, wait_until

if TYPE_CHECKING:
    from collections.abc import Generator

    from e2e.programs import Serving
    from interop.prometheus import Prometheus

MONITORING = Path(__file__).parents[2] / "monitoring"
RULES, DASHBOARD = MONITORING / "alerts.yaml", MONITORING / "grafana-dashboard.json"
HOSTILE = 'x"} 1\nforged_total{a="b"} 99\n# EOF\n\\ \x00\x1b[2J\u2028😀'
CLEANED = 'x"} 1 forged_total{a="b"} 99 # EOF \\ [2J\u2028😀'  # as in spans
SECONDS = 12  # of load, of which ten are what the dashboard's rates are taken over
INTERVAL = "10s"
PAUSE_SECONDS = 0.02
CALLS, ATTEMPTS = 5, 8  # of a round; two attempts are throttled, one call fails, one attempt is without its call


class Load:
    """Sends calls of each kind, one round after the other."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._is_stopped = threading.Event()
        self.calls = 0
        self.datagrams = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Send no more."""
        self._is_stopped.set()
        self._thread.join(DEADLINE_SECONDS)

    def _run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for number in itertools.count():
                for payload in _round(number):
                    sock.sendto(payload, self._address)
                    self.datagrams += 1
                self.calls += CALLS
                if self._is_stopped.wait(PAUSE_SECONDS):
                    return


def _round(number: int) -> list[bytes]:
    now_ms = time.time_ns() // 10**6 - 100
    took = 3 + number * 7 % 90

    def tried(api: str, at_ms: int, **more: Any) -> bytes:
        return attempt(Api=api, Timestamp=now_ms + at_ms, AttemptLatency=took // 3, **more)

    def called(api: str, attempts: int, **more: Any) -> bytes:
        return call(Api=api, Timestamp=now_ms, Latency=took, AttemptCount=attempts, **more)

    slow_down = {"HttpStatusCode": 503, "AwsException": "SlowDown"}
    denied = {"HttpStatusCode": 403, "AwsException": "AccessDenied"}
    return [
        *(tried("GetObject", 0), called("GetObject", 1)),
        *(tried("PutObject", 0, **slow_down), tried("PutObject", took // 2), called("PutObject", 2)),
        *(tried("Query", 0, HttpStatusCode=429, AwsException="Slower"), tried("Query", took // 2), called("Query", 2)),
        tried("ListObjects", 0, **denied),
        called("ListObjects", 1, FinalHttpStatusCode=403, FinalAwsException="AccessDenied"),
        *(tried(HOSTILE, 0), called(HOSTILE, 1)),
        tried("Orphaned", 0),
        b"garbage",
    ]


Series = list[tuple[dict[str, str], float]]


class Watched(NamedTuple):
    """A daemon that was under load, and the Prometheus that scraped it meanwhile and goes on."""

    prometheus: Prometheus
    backend: HttpBackend
    daemon: Serving
    load: Load
    evaluated: dict[str, Series]
    """What each expression of the dashboard was under load."""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Generator[Watched]:
    """Run one for all tests of this module; the load is over."""
    if reason := prometheus().why_not():
        pytest.skip(reason)
    with HttpBackend() as backend, _daemon(backend, tmp_path_factory.mktemp("spool")) as daemon:
        health, own = (url.removeprefix("http://").removesuffix("/metrics") for url in _urls(daemon))
        folder = tmp_path_factory.mktemp("prometheus")
        with running_prometheus({"csm-otel": own, "health": health}, folder, rules=[RULES]) as scraping:
            wait_until(lambda: len(scraping.query("up == 1")) == 2)
            with Load(daemon.address) as load:
                time.sleep(SECONDS)
                evaluated = {expression: scraping.query(expression) for _, expression in expressions()}
            yield Watched(scraping, backend, daemon, load, evaluated)


@contextmanager
def _daemon(backend: HttpBackend, spool: Path) -> Generator[Serving]:
    env = environment(
        OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint,
        OTEL_METRICS_EXPORTER="prometheus",
        OTEL_EXPORTER_PROMETHEUS_PORT="0",
    )
    with serving("--health", "0", "--spool", spool, "--attempt-wait-seconds", "1", env=env) as daemon:
        yield daemon


def _urls(daemon: Serving) -> list[str]:
    found = re.search(r"^csm-otel: metrics at (.+)$", daemon.line, re.MULTILINE)
    assert found
    return found[1].split(" and ")


def expressions() -> list[tuple[str, str]]:
    """Return the expressions of the dashboard, as Grafana sends them, with the titles of their panels."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    values = {"$__rate_interval": INTERVAL, "$job": "csm-otel", "$instance": ".*", "$operation": ".*"}
    found = []
    for title, text in ((panel["title"], one["expr"]) for panel in panels for one in panel.get("targets", ())):
        for name, value in values.items():
            text = text.replace(name, value)  # ruff: ignore[redefined-loop-name]
        found.append((title, text))
    return found


def test_both_ports_have_all_counts(watched: Watched) -> None:
    """What was sent is what Prometheus knows, from either port."""

    def counted(name: str) -> list[float]:
        return sorted(value for _, value in watched.prometheus.query(f"sum by (job) ({name})"))

    wait_until(lambda: counted("csm_otel_calls_total") == [watched.load.calls] * 2)
    wait_until(lambda: counted("rpc_client_call_duration_seconds_count") == [watched.load.calls] * 2)
    wait_until(lambda: counted("csm_otel_datagrams_received_total") == [watched.load.datagrams] * 2)


def test_an_operation_of_any_name(watched: Watched) -> None:
    """A hostile name is one value of a label, that of the span, and makes no series of its own."""
    names = watched.prometheus.ask("label/rpc_method/values")

    assert f"S3/{CLEANED}" in names
    assert len(names) == 6
    assert watched.prometheus.query("forged_total") == []


def test_exemplars_are_spans(watched: Watched) -> None:
    """An exemplar has the ids of a span that the back end has, and its value is that span's duration."""
    wait_until(lambda: not watched.prometheus.query("csm_otel_spans_waiting > 0"))
    found = watched.prometheus.ask(
        "query_exemplars",
        query='rpc_client_call_duration_seconds_bucket{rpc_method!=""}',
        start=str(time.time() - 300),
        end=str(time.time()),
    )
    exemplars = [exemplar for series in found for exemplar in series["exemplars"]]
    durations = {
        (span.trace_id.hex(), span.span_id.hex()): (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
        for span in watched.backend.spans
    }

    assert len({series["seriesLabels"]["rpc_method"] for series in found}) >= 4
    assert len(exemplars) > SECONDS
    for exemplar in exemplars:
        labels = exemplar["labels"]
        assert durations[labels["trace_id"], labels["span_id"]] == pytest.approx(float(exemplar["value"]))


@pytest.mark.parametrize("expression", [pytest.param(text, id=title) for title, text in expressions()])
def test_the_dashboard(watched: Watched, expression: str) -> None:
    """Each panel has data while there is load: a number for each series, nothing that is none."""
    found = watched.evaluated[expression]

    assert found
    assert not [labels for labels, value in found if math.isnan(value)]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        pytest.param("Failed calls", 1 / CALLS, id="errors"),
        pytest.param("Throttled requests", 2 / ATTEMPTS, id="throttled"),
        pytest.param("Requests per call", (ATTEMPTS - 1) / CALLS, id="requests"),
    ],
)
def test_what_the_dashboard_says(watched: Watched, title: str, expected: float) -> None:
    """Its shares are those of the calls that were sent."""
    (expression,) = [text for panel, text in expressions() if panel == title]
    ((_, value),) = watched.evaluated[expression]

    assert value == pytest.approx(expected, rel=0.1)


def test_the_rules(watched: Watched) -> None:
    """Prometheus loads and evaluates them, and of those for the first minute none fires."""

    def states() -> dict[str, tuple[str, str]]:
        (group,) = watched.prometheus.ask("rules")["groups"]
        return {rule["name"]: (rule["health"], rule["state"]) for rule in group["rules"]}

    wait_until(lambda: {health for health, _ in states().values()} == {"ok"})
    assert len(states()) == 5
    assert "firing" not in {state for _, state in states().values()}
    assert states()["CsmOtelKernelDrops"] == ("ok", "inactive")
    assert {states()["CsmOtelCallsFail"][1], states()["CsmOtelCallsAreThrottled"][1]} == {"pending"}


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("check", "rules", RULES), id="check"),
        pytest.param(("test", "rules", MONITORING / "alerts_test.yaml"), id="test"),
    ],
)
def test_promtool(command: tuple[str | Path, ...]) -> None:
    """The rules are sound, and each alert fires in its tests when it should, and only then."""
    if reason := prometheus().why_not():
        pytest.skip(reason)
    done = run((program("promtool"), *command), seconds=DEADLINE_SECONDS)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        pytest.param(("", ""), "", id="as-it-is"),
        pytest.param(('"refId"', '"refID"'), "unexpected field 'refID'", id="a-wrong-name"),
        pytest.param(('"fillOpacity"', '"opacity"'), "unexpected field 'opacity'", id="within-a-panel"),
    ],
)
def test_the_schema_of_dashboards(tmp_path: Path, change: tuple[str, str], fault: str) -> None:
    """Grafana's published types have every field of the dashboard; a wrong one would be found."""
    check = dashboard_check()
    if reason := check.why_not():
        pytest.skip(reason)
    path = tmp_path / "dashboard.json"
    path.write_text(DASHBOARD.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    done = run((check.folder / "dashboardcheck", path), seconds=DEADLINE_SECONDS)

    assert (done.returncode, fault in done.stderr) == (int(bool(fault)), True), done.stderr
