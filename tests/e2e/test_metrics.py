"""The metrics of `csm-otel serve` and `exec` at a real OTLP server: they equal what was sent."""

from __future__ import annotations

import re
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest
from ci import environments
from datagrams import ABSENT, attempt, call
from e2e.programs import (
    DEADLINE_SECONDS,
    ONE_CALL,
    ONE_CALL_SENT,
    environment,
    has_traceback,
    lines_of,
    run,
    run_exec,
    serving,
)
from otlp_backend import FOREVER_SECONDS, Answer, GrpcBackend, HttpBackend, wait_until

from csm_otel import __version__
from csm_otel.csm.events import Dialect

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from e2e.programs import Serving
    from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, NumberDataPoint

with_each_protocol = pytest.mark.parametrize("backend_type", [HttpBackend, GrpcBackend], ids=["http", "grpc"])
NOWHERE = "http://127.0.0.1:9"
NOT_TAKEN = re.compile(
    r"csm-otel: back end does not accept metrics: (connection refused|no answer within \S+ s): "
    r"(http://127\.0\.0\.1:9(/v1/metrics)?|127\.0\.0\.1:9)"
)


def metrics_to(backend: HttpBackend | GrpcBackend, /, **more: str) -> dict[str, str]:
    """Return an environment that exports metrics and spans to a back end."""
    protocol = "grpc" if isinstance(backend, GrpcBackend) else "http/protobuf"
    otel = {
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": backend.endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_BSP_SCHEDULE_DELAY": "20",
    }
    return environment(**(otel | more))


def send(daemon: Serving, payloads: Sequence[bytes]) -> None:
    """Send datagrams to a daemon."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for payload in payloads:
            sock.sendto(payload, daemon.address)


def attributes_of(point: NumberDataPoint | HistogramDataPoint) -> dict[str, str | int]:
    """Return a point's attributes."""
    return {
        item.key: item.value.string_value if item.value.HasField("string_value") else item.value.int_value
        for item in point.attributes
    }


def counts(backend: HttpBackend | GrpcBackend, name: str, by: str = "") -> dict[str | int, int]:
    """Return the counts of a metric by one attribute, those without it under ""."""
    return {attributes_of(point).get(by, ""): point.as_int for point in backend.points(name)}  # type: ignore[union-attr]


def values(backend: HttpBackend | GrpcBackend, name: str) -> list[tuple[dict[str, str | int], int, float]]:
    """Return the attributes, count and sum of each series of a histogram, sorted."""
    series = [(attributes_of(point), point.count, point.sum) for point in backend.points(name)]  # type: ignore[union-attr]
    return sorted(series, key=_set)


def _set(series: tuple[dict[str, str | int], int, float]) -> str:
    return str(sorted((key, str(value)) for key, value in series[0].items()))


_NOW_MS = time.time_ns() // 10**6  # read once: events must not drift apart on a busy machine


def times(start_ms: int, length_ms: int, name: str) -> dict[str, object]:
    """Return the fields of a time and a length, relative to about now."""
    return {"Timestamp": _NOW_MS + start_ms, name: length_ms}


@with_each_protocol
def test_the_counters_equal_what_was_sent(backend_type: type[HttpBackend | GrpcBackend]) -> None:
    """Datagrams, calls, attempts, orphans and spans are each counted, and the resource is the daemon's."""
    failed = {"HttpStatusCode": 500, "AwsException": "InternalError"}
    sent = [
        attempt(**times(0, 10, "AttemptLatency"), **failed),
        attempt(**times(20, 20, "AttemptLatency")),
        call(**times(0, 40, "Latency"), AttemptCount=2),
        attempt(Api="PutObject", **times(0, 5, "AttemptLatency")),
        b"garbage",
        b"",
        call(Api="CopyObject", AttemptCount=0, FinalHttpStatusCode=ABSENT, **times(0, 1, "Latency")) + b"\ngarbage",
    ]
    with backend_type() as backend, serving(env=metrics_to(backend)) as daemon:
        # Woken by the first datagram, the daemon could take the sender's core, and the next ones would arrive too late.
        daemon.process.send_signal(signal.SIGSTOP)
        send(daemon, sent)
        daemon.process.send_signal(signal.SIGCONT)
        assert daemon.stop() == 0

        where = {"network.local.address": daemon.address[0], "network.local.port": daemon.address[1]}
        assert [attributes_of(point) for point in backend.points("csm_otel.datagrams.received")] == [where]
        assert counts(backend, "csm_otel.datagrams.received") == {"": len(sent)}
        assert counts(backend, "csm_otel.datagrams.invalid", "reason") == {"not_json": 1, "empty": 1}
        assert set(counts(backend, "csm_otel.datagrams.dropped", "reason").values()) <= {0}
        assert counts(backend, "csm_otel.calls") == {"": 2}
        assert counts(backend, "csm_otel.attempts") == {"": 3}
        assert counts(backend, "csm_otel.orphans", "reason") == {"flushed": 1}
        assert counts(backend, "csm_otel.spans.exported", "outcome") == {"delivered": len(backend.spans)}
        assert len(backend.spans) == 5
        assert counts(backend, "csm_otel.events.pending") == {"": 0}
        assert counts(backend, "csm_otel.spans.waiting") == {"": 0}
        (buffer,) = counts(backend, "csm_otel.receive_buffer.size").values()
        assert f"receive buffer {buffer:,} bytes" in daemon.line

        common: dict[str, str | int] = {"rpc.system.name": "aws-api", "cloud.region": "us-east-1"}
        get, put, copy = ({**common, "rpc.method": f"S3/{api}Object"} for api in ("Get", "Put", "Copy"))
        assert values(backend, "rpc.client.call.duration") == sorted([(get, 1, 0.04), (copy, 1, 0.001)], key=_set)
        assert values(backend, "csm_otel.call.attempts") == sorted([(get, 1, 2.0), (copy, 1, 0.0)], key=_set)
        ok, error = {"http.response.status_code": 200}, {"http.response.status_code": 500}
        expected = [
            (get | error | {"error.type": "InternalError"}, 1, 0.01),
            (get | ok, 1, 0.02),
            (put | ok, 1, 0.005),
        ]
        assert sorted(expected, key=_set) == values(backend, "csm_otel.attempt.duration")
        resource = backend.metric_requests[-1].resource_metrics[0].resource
        attributes = {item.key: item.value.string_value for item in resource.attributes}
        assert attributes.pop("service.instance.id")
        assert (attributes["service.name"], attributes["service.version"]) == ("csm-otel", __version__)
        assert attributes["host.name"] == socket.gethostname()
    assert not has_traceback(daemon.rest)


@with_each_protocol
def test_the_export_interval(backend_type: type[HttpBackend | GrpcBackend]) -> None:
    """With OTEL_METRIC_EXPORT_INTERVAL metrics are exported at run time, and gauges have the values of that moment."""
    with backend_type() as backend, serving(env=metrics_to(backend, OTEL_METRIC_EXPORT_INTERVAL="50")) as daemon:
        began_ms = time.time_ns() // 10**6
        send(daemon, [attempt(Dialect.JS, Timestamp=began_ms, AttemptLatency=1)])
        wait_until(lambda: backend.metric_requests and counts(backend, "csm_otel.events.pending") == {"": 1})
        send(daemon, [call(Dialect.JS, Timestamp=began_ms, Latency=time.time_ns() // 10**6 - began_ms)])
        wait_until(lambda: counts(backend, "csm_otel.events.pending") == {"": 0})
        wait_until(lambda: counts(backend, "csm_otel.spans.exported", "outcome") == {"delivered": 2})
        assert daemon.stop() == 0


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_an_unavailable_back_end_loses_only_metrics(protocol: str) -> None:
    """Spans are delivered, a line says that metrics are not, and shutdown does not wait for them."""
    with HttpBackend() as backend:
        away = {
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": NOWHERE,
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT": "200",
            "OTEL_METRIC_EXPORT_INTERVAL": "50",
        }
        with serving("--drain-seconds", "2", env=metrics_to(backend, **away)) as daemon:
            send(daemon, [call(AttemptCount=0)])
            backend.wait_for_accepted(1)
            assert daemon.stop() == 0
        assert len(backend.spans) == 1
        assert backend.metric_requests == []
    assert b"1 span delivered" in daemon.rest
    lines = lines_of(daemon.rest)
    assert NOT_TAKEN.fullmatch(lines[0])
    assert len(lines) == 2  # this line and the tally
    assert not has_traceback(daemon.rest)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_command_reports_that_metrics_are_not_accepted(protocol: str) -> None:
    """Under `exec`, however short, the line has the cause and the address, without what may be a secret."""
    env = environment(
        OTEL_TRACES_EXPORTER="none",
        OTEL_METRICS_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_METRICS_ENDPOINT="http://user:hunter2@127.0.0.1:9/v1/metrics?token=hunter2",
        OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=protocol,
    )
    done = run("exec", "--drain-seconds", "8", "--", "true", env=env)
    assert done.returncode == 0
    (line,) = [line for line in lines_of(done.stderr) if "metrics" in line]
    assert NOT_TAKEN.fullmatch(line)


def test_the_last_export_has_the_last_counts() -> None:
    """Datagrams that arrive too late, while spans are being delivered, are in the metrics as in the tally."""
    with HttpBackend() as backend:
        backend.script(Answer(delay_seconds=FOREVER_SECONDS))
        env = metrics_to(backend, OTEL_BSP_SCHEDULE_DELAY="60000", OTEL_EXPORTER_OTLP_TIMEOUT="600000")
        with serving("--drain-seconds", "600", env=env) as daemon:
            send(daemon, [call(AttemptCount=0)])
            daemon.process.terminate()
            wait_until(lambda: backend.requests)  # everything that had arrived has been read
            send(daemon, [b"late"] * 3)
            backend.release()
            _, stderr = daemon.process.communicate(timeout=DEADLINE_SECONDS)
        assert b"3 datagrams arrived too late" in stderr
        assert counts(backend, "csm_otel.datagrams.dropped", "reason").get("late") == 3
        assert counts(backend, "csm_otel.datagrams.received") == {"": 4}


def test_a_back_end_that_hangs_delays_nothing() -> None:
    """A server that accepts the connection and never answers is given up at the deadline."""
    with socket.create_server(("127.0.0.1", 0)) as silent, HttpBackend() as backend:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1/metrics"
        more = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": url, "OTEL_METRIC_EXPORT_INTERVAL": "20"}
        with serving("--drain-seconds", "1", env=metrics_to(backend, **more)) as daemon:
            send(daemon, [call(AttemptCount=0)])
            backend.wait_for_accepted(1)
            connection, _ = silent.accept()
            with connection:
                assert daemon.stop() == 0
    assert b"1 span delivered" in daemon.rest
    assert not has_traceback(daemon.rest)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("TEMPORALITY_PREFERENCE", "DELTA", id="delta"),
        pytest.param("DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram", id="exponential"),
    ],
)
def test_preferences(name: str, value: str) -> None:
    """Temporality and histogram aggregation follow the variables."""
    with HttpBackend() as backend:
        more = {f"OTEL_EXPORTER_OTLP_METRICS_{name}": value, "OTEL_METRIC_EXPORT_INTERVAL": "50"}
        with serving(env=metrics_to(backend, **more)) as daemon:
            send(daemon, [call(AttemptCount=0)])
            wait_until(lambda: backend.metric_requests and backend.points("rpc.client.call.duration"))
            assert daemon.stop() == 0
        metrics = [
            metric
            for request in backend.metric_requests
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == "rpc.client.call.duration"
        ]
        if value == "DELTA":
            assert {metric.histogram.aggregation_temporality for metric in metrics} == {1}
        else:
            assert {metric.WhichOneof("data") for metric in metrics} == {"exponential_histogram"}


@pytest.mark.parametrize("command", ["exec", "serve"])
@pytest.mark.parametrize("name", ["GITHUB", "GITLAB"])
def test_a_pipeline_is_no_part_of_metrics(command: str, name: str) -> None:
    """What a CI system says of a run, each of which would be other series, is in the resource of spans only."""
    with HttpBackend() as backend:
        env = metrics_to(backend, OTEL_TRACES_EXPORTER="otlp") | getattr(environments, name)
        if command == "exec":
            assert run("exec", "--", *ONE_CALL_SENT, env=env).returncode == 0
        else:
            with serving(env=env) as daemon:
                send(daemon, [call(AttemptCount=0)])
                assert daemon.stop() == 0
        metrics = b"".join(request.SerializeToString() for request in backend.metric_requests)
        spans = [of_resource.resource for request in backend.requests for of_resource in request.resource_spans]

    assert b"rpc.client.call.duration" in metrics
    assert "cicd.pipeline.run.id" in {pair.key for resource in spans for pair in resource.attributes}
    assert b"cicd." not in metrics
    assert b"vcs." not in metrics


def test_they_are_off_unless_asked_for() -> None:
    """An endpoint alone exports no metrics."""
    with HttpBackend() as backend:
        with serving(env=metrics_to(backend, OTEL_METRICS_EXPORTER="", OTEL_METRIC_EXPORT_INTERVAL="10")) as daemon:
            send(daemon, [call(AttemptCount=0)])
            backend.wait_for_accepted(1)
            assert daemon.stop() == 0
        assert backend.metric_requests == []


@with_each_protocol
def test_metrics_of_a_command(moto_port: int, backend_type: type[HttpBackend | GrpcBackend], tmp_path: Path) -> None:
    """`exec` exports them too, and its command's result stands."""
    with backend_type() as backend:
        env = {**environment(moto_port), **{k: v for k, v in metrics_to(backend).items() if k.startswith("OTEL_")}}
        done = run_exec(ONE_CALL, "--output", tmp_path / "out", env=env)
        assert (done.returncode, done.stderr) == (0, b"")
        assert counts(backend, "csm_otel.calls") == {"": 1}
        ((attributes, count, seconds),) = values(backend, "rpc.client.call.duration")
        assert (attributes["rpc.method"], count) == ("S3/ListBuckets", 1)
        assert seconds > 0
        assert counts(backend, "csm_otel.spans.exported", "outcome") == {"delivered": 3}


def test_each_socket_has_its_counts() -> None:
    """If datagrams arrive at both addresses, the tally and the metrics have the counts of each."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with HttpBackend() as backend, serving("--port", str(port), env=metrics_to(backend)) as daemon:
        if f"[::1]:{port}" not in daemon.line:
            pytest.skip("no IPv6 here")
        send(daemon, [b"x"] * 3)
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"x", ("::1", port))
        assert daemon.stop(signal.SIGINT) == 0
        assert counts(backend, "csm_otel.datagrams.received", "network.local.address") == {"127.0.0.1": 3, "::1": 1}
    lines = re.findall(r" +(\d) at (\S+), .*, receive buffer [\d,]+ bytes", daemon.rest.decode())
    assert lines == [("3", f"127.0.0.1:{port}"), ("1", f"[::1]:{port}")]


@pytest.mark.parametrize(
    "unusable",
    [
        pytest.param({"OTEL_METRICS_EXPORTER": "statsd"}, id="exporter"),
        pytest.param(
            {
                "OTEL_METRIC_EXPORT_INTERVAL": "soon",
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "nowhere",
                "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "smoke",
                "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "some",
                "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "some",
            },
            id="all-others",
        ),
    ],
)
def test_bad_settings_of_metrics(moto_port: int, unusable: dict[str, str]) -> None:
    """Under `exec` unusable settings are reported, and the command's calls are traced."""
    with HttpBackend() as backend:
        env = {**environment(moto_port), **metrics_to(backend, **unusable)}
        done = run_exec("", env=env)
        assert done.returncode == 0
        for name in unusable:
            assert len([line for line in lines_of(done.stderr) if line.startswith(f"csm-otel: {name}: ")]) == 1
        assert len(backend.spans) == 1
    assert not has_traceback(done.stderr)
