"""The files of collector-config/ in a real Collector: each is valid, and what csm-otel sends comes out as it went in.

Sampling, metrics and gateways have modules of their own.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from datagrams import attempt, call
from e2e.programs import environment, run
from interop.collector import CONFIGS, by_id, spans_in, spans_received, validate
from interop.collector_traffic import sent_by_a_script, sent_by_serve
from otlp_backend import HttpBackend, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interop.conftest import StartCollector
    from interop.jaeger import AttributeValue, Jaeger, ShownSpan

FILES = sorted(CONFIGS.rglob("*.yaml"))
POST_EACH_LINE = """while IFS= read -r line; do
  printf %s "$line" | curl -fsS -H 'Content-Type: application/json' --data-binary @- http://localhost:4318/v1/traces
done < spans.jsonl"""
DENIED = (
    "User: arn:aws:sts::210987654321:assumed-role/payroll/alice is not authorized to perform: s3:GetObject on "
    "resource: arn:aws:s3:::salaries/2026.csv; ask bob@example.com in account 345678901234, from 10.11.12.13"
)
MASKED = "User: **** is not authorized to perform: s3:GetObject on resource: **** ask **** in account ****, from ****"
MASKED_OR_ADDED = {"cloud.account.id", "network.peer.address", "exception.message", "redaction.masked.count"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CONFIGS)))
def test_a_file_is_valid(file: Path) -> None:
    """The Collector accepts it without a complaint, given the variables without a default, which its comment names."""
    text = file.read_text("utf-8")
    comment = text.partition("\n\n")[0]
    needed = set(re.findall(r"\$\{env:(\w+)\}", text))
    assert all(f"{name}=" in comment for name in needed)
    assert f"otelcol --config {file.name}" in comment
    complaints = validate(file, dict.fromkeys(needed, "https://otlp.example.com"))
    assert not complaints


def test_each_file_is_run() -> None:
    """Each file has a test here or in a module beside this one that starts a Collector with it."""
    tests = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_collector*.py"))
    assert [] == [file.name for file in FILES if f'"{file.relative_to(CONFIGS)}"' not in tests]


def test_a_wrong_file_is_not_valid(tmp_path: Path) -> None:
    """The check above can fail."""
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((CONFIGS / "gateway.yaml").read_text("utf-8").replace("flush_timeout", "flush_time"), "utf-8")
    assert "flush_time" in validate(wrong, {"BACKEND_OTLP_ENDPOINT": "https://otlp.example.com"})


def test_to_jaeger(collector: StartCollector, jaeger: Jaeger, moto_port: int, tmp_path: Path) -> None:
    """A script's trace, with a call that is throttled twice, is at Jaeger as csm-otel sent it."""
    running = collector("jaeger.yaml", JAEGER_OTLP_ENDPOINT=jaeger.otlp_http)
    sent = sent_by_a_script(tmp_path / "sent.jsonl", running.http, moto_port)
    (trace_id,) = {span.trace_id for span in sent}
    wait_until(lambda: len(jaeger.trace(trace_id)) >= len(sent))
    assert by_id(jaeger.trace(trace_id)) == by_id(sent)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_to_any_back_end(collector: StartCollector, tmp_path: Path, protocol: str) -> None:
    """The smallest file passes on what `serve` sends over either protocol."""
    with HttpBackend() as backend:
        running = collector("csm-otel.yaml", BACKEND_OTLP_ENDPOINT=backend.endpoint)
        endpoint = running.grpc if protocol == "grpc" else running.http
        sent = sent_by_serve(tmp_path / "sent.jsonl", endpoint, call(), attempt(), OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
        wait_until(lambda: len(spans_received(backend.accepted)) >= len(sent))
        assert by_id(spans_received(backend.accepted)) == by_id(sent)


@pytest.mark.parametrize(
    ("config", "endpoint", "key", "header"),
    [
        pytest.param(
            "hosted/any.yaml", "BACKEND_OTLP_ENDPOINT", "BACKEND_OTLP_AUTHORIZATION", "authorization", id="any"
        ),
        pytest.param(
            "hosted/honeycomb.yaml", "HONEYCOMB_ENDPOINT", "HONEYCOMB_API_KEY", "x-honeycomb-team", id="honeycomb"
        ),
        pytest.param(
            "hosted/grafana-cloud.yaml",
            "GRAFANA_OTLP_ENDPOINT",
            "GRAFANA_OTLP_AUTHORIZATION",
            "authorization",
            id="grafana-cloud",
        ),
        pytest.param("hosted/new-relic.yaml", "NEW_RELIC_ENDPOINT", "NEW_RELIC_LICENSE_KEY", "api-key", id="new-relic"),
    ],
)
def test_to_a_hosted_back_end(
    collector: StartCollector, tmp_path: Path, config: str, endpoint: str, key: str, header: str
) -> None:
    """Spans arrive with the key in its header, at a stand-in: the hosts themselves are not reached from here."""
    with HttpBackend() as backend:
        running = collector(config, **{endpoint: backend.endpoint, key: "Basic c2VjcmV0"})
        sent = sent_by_serve(tmp_path / "sent.jsonl", running.http, attempt(), call())
        wait_until(lambda: len(spans_received(backend.accepted)) >= len(sent))
        assert by_id(spans_received(backend.accepted)) == by_id(sent)
        assert {headers[header] for headers in backend.headers} == {"Basic c2VjcmV0"}


def test_to_a_file_and_back(collector: StartCollector, moto_port: int, tmp_path: Path) -> None:
    """The lines of the file, posted as its comment says, arrive at a back end as csm-otel sent them."""
    file = tmp_path / "spans.jsonl"
    running = collector("file.yaml", SPANS_FILE=str(file))
    sent = sent_by_a_script(tmp_path / "sent.jsonl", running.http, moto_port)
    wait_until(lambda: len(spans_in(file)) >= len(sent))
    assert by_id(spans_in(file)) == by_id(sent)
    report = run("report", file, env=environment())
    assert b"S3.ListBuckets" in report.stdout, report.stderr

    comment = (CONFIGS / "file.yaml").read_text("utf-8").replace("#   ", "")
    assert POST_EACH_LINE in comment
    with HttpBackend() as backend:
        back = collector("csm-otel.yaml", BACKEND_OTLP_ENDPOINT=backend.endpoint)
        posting = POST_EACH_LINE.replace("http://localhost:4318", back.http)
        done = subprocess.run(("sh", "-c", posting), cwd=tmp_path, capture_output=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        wait_until(lambda: len(spans_received(backend.accepted)) >= len(sent))
        assert by_id(spans_received(backend.accepted)) == by_id(sent)


def test_redaction(collector: StartCollector, tmp_path: Path) -> None:
    """What csm-otel exports of people, roles, accounts and addresses is gone, and all else is as it was."""
    failed = {"HttpStatusCode": 403, "AwsException": "AccessDenied", "AwsExceptionMessage": DENIED}
    denied = (
        attempt(AccessKey="ASIAY34FZKBOKMUTVV7A", DestinationIp="10.20.30.40", **failed),
        call(FinalHttpStatusCode=403, FinalAwsException="AccessDenied", FinalAwsExceptionMessage=DENIED),
    )
    with HttpBackend() as backend:
        running = collector("redaction.yaml", BACKEND_OTLP_ENDPOINT=backend.endpoint)
        sent = sent_by_serve(tmp_path / "sent.jsonl", running.http, *denied)
        canaries = ["alice", "payroll", "salaries", "bob@example.com", "345678901234", "10.11.12.13", "10.20.30.40"]
        canaries.append(str(sent[0].attributes["cloud.account.id"]))
        assert all(canary in repr(sent) for canary in canaries)
        wait_until(lambda: len(spans_received(backend.accepted)) >= len(sent))
        received = spans_received(backend.accepted)
    assert [] == [canary for canary in canaries if canary in repr(received)]
    assert {span.status_message for span in received} == {MASKED}
    assert [unmasked(span) for span in received] == [unmasked(by_id(sent)[span.span_id]) for span in received]


def unmasked(span: ShownSpan) -> ShownSpan:
    """Return a span without what redaction.yaml masks or adds."""

    def kept(attributes: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
        return {key: value for key, value in attributes.items() if key not in MASKED_OR_ADDED}

    events = tuple((name, kept(attributes)) for name, attributes in span.events)
    return replace(span, attributes=kept(span.attributes), events=events, status_message="")
