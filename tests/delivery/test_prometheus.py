"""What Prometheus gets: official formats, hostile texts escaped, exemplars in OpenMetrics."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest
from otlp_backend import DEADLINE_SECONDS, FOREVER_SECONDS
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from csm_otel import __version__
from csm_otel.delivery.metric_exporter import OtlpMetricExporter
from csm_otel.delivery.metrics import SERIES, Gauges, Metrics
from csm_otel.delivery.outcome import Delivered
from csm_otel.delivery.prometheus import Exposition
from csm_otel.spans.data import TraceContext
from csm_otel.spans.measures import ATTEMPT_DURATION, CALL_ATTEMPTS, CALL_DURATION, Measurement
from csm_otel.tally import SocketCounters, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client.core import Metric

    from csm_otel.delivery.disk import SpoolUse

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
# As sent by Prometheus 2.42 and 3.
OF_PROMETHEUS_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"  # ruff: ignore[line-too-long]
OF_PROMETHEUS_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"  # ruff: ignore[line-too-long]
METHOD = {"rpc.method": "S3/ListBuckets"}
SPAN = TraceContext(trace_id=0xA1, span_id=0xB2)


class Exposed:
    """Metrics with what a scrape gets of them."""

    def __init__(
        self,
        tally: Tally | None = None,
        *,
        spool: SpoolUse | None = None,
        exporter: OtlpMetricExporter | None = None,
    ) -> None:
        self.exposition = Exposition()
        self.metrics = Metrics(
            exporter,
            tally=tally or Tally(),
            gauges=Gauges(lambda: 7, lambda: 8, lambda: spool),
            resource={"host.name": "h", "service.name": "an application"},
            interval_seconds=FOREVER_SECONDS,
            scraped=self.exposition.reader,
        )

    def record(
        self, name: str, value: float, context: TraceContext | None = None, attributes: Mapping[str, str] = METHOD
    ) -> None:
        """Record one value."""
        self.metrics.record([Measurement(name, value, attributes, context)])

    def text(self, accept: str = "") -> str:
        """Return the body of a scrape."""
        return self.exposition.render(accept=accept, accept_encoding="").body.decode()

    def families(self, accept: str = "") -> dict[str, Metric]:
        """Return the metrics of a scrape, as the parser of its format reads them."""
        parse = parse_openmetrics if "openmetrics" in accept else parse_text
        return {family.name: family for family in parse(self.text(accept))}


def values(families: Iterable[Metric], sample: str) -> list[float]:
    """Return the values of all samples of that name."""
    return [one.value for family in families for one in family.samples if one.name == sample]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        pytest.param("", "text/plain; version=0.0.4; charset=utf-8", id="none"),
        pytest.param("*/*", "text/plain; version=0.0.4; charset=utf-8", id="any"),
        pytest.param("text/html", "text/plain; version=0.0.4; charset=utf-8", id="browser"),
        pytest.param(f"{OPENMETRICS[:-5]}1.x", "text/plain; version=0.0.4; charset=utf-8", id="no-version"),
        pytest.param(f"{OPENMETRICS[:-5]}2.\nX: y", "text/plain; version=0.0.4; charset=utf-8", id="line-break"),
        pytest.param(f"{OPENMETRICS[:-5]}2.é.0", "text/plain; version=0.0.4; charset=utf-8", id="not-ascii"),
        pytest.param(OF_PROMETHEUS_2, "application/openmetrics-text; version=1.0.0", id="prometheus-2"),
        pytest.param(OF_PROMETHEUS_3, "application/openmetrics-text; version=1.0.0", id="prometheus-3"),
    ],
)
@pytest.mark.parametrize("accept_encoding", ["", "gzip", "identity, GZIP;q=0.5"])
def test_formats_and_encodings(accept: str, content_type: str, accept_encoding: str) -> None:
    """The client that scrapes has its way; without a wish it gets the text format, uncompressed."""
    exposed = Exposed().exposition.render(accept=accept, accept_encoding=accept_encoding)
    body = gzip.decompress(exposed.body) if exposed.content_encoding == "gzip" else exposed.body

    assert exposed.content_type.startswith(content_type)
    assert exposed.content_encoding == ("gzip" if accept_encoding else "")
    assert body.endswith(b"# EOF\n") == ("openmetrics" in content_type)


@pytest.mark.parametrize("accept", ["", OPENMETRICS], ids=["text", "openmetrics"])
def test_names(accept: str) -> None:
    """Names end with their units, and counters with ``_total``."""
    tally = Tally(sockets=(SocketCounters(("127.0.0.1", 31000), 100, 5, 212_992),), calls=3, spans_delivered=4)
    exposed = Exposed(tally)
    for name in (CALL_DURATION, CALL_ATTEMPTS, ATTEMPT_DURATION):
        exposed.record(name, 2)
    families = list(exposed.families(accept).values())

    assert {sample.name for family in families for sample in family.samples} == {
        *(
            f"{name}_{suffix}"
            for name in (
                "rpc_client_call_duration_seconds",
                "csm_otel_call_attempts",
                "csm_otel_attempt_duration_seconds",
            )
            for suffix in ("bucket", "count", "sum")
        ),
        "csm_otel_datagrams_received_total",
        "csm_otel_datagrams_dropped_total",
        "csm_otel_calls_total",
        "csm_otel_attempts_total",
        "csm_otel_spans_exported_total",
        "csm_otel_events_pending",
        "csm_otel_spans_waiting",
        "csm_otel_receive_buffer_size_bytes",
        "target_info",
    }
    assert values(families, "csm_otel_calls_total") == [3]
    assert values(families, "csm_otel_receive_buffer_size_bytes") == [212_992]


def test_the_target_is_the_daemon() -> None:
    """``target_info`` has the resource; each other metric has the scope, and no name of an application."""
    exposed = Exposed()
    exposed.record(CALL_DURATION, 1)
    families = exposed.families(OPENMETRICS)
    (info,) = families.pop("target").samples
    others = [sample.labels for family in families.values() for sample in family.samples]

    assert info.labels.pop("service_instance_id")
    assert info.labels == {"service_name": "csm-otel", "service_version": __version__, "host_name": "h"}
    assert {labels["otel_scope_name"] for labels in others} == {"csm_otel"}
    assert not [name for labels in others for name in labels if "service" in name]


@pytest.mark.parametrize("accept", ["", OPENMETRICS], ids=["text", "openmetrics"])
@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param('x"} 1\nforged_total{a="b"} 99\n# EOF\n', id="forged-line"),
        pytest.param("\\", id="backslash"),
        pytest.param("\\n", id="escaped-line-break"),
        pytest.param('"', id="quote"),
        pytest.param("a\r\nb\x00\x1b[2Jc\u2028d\u202ee", id="control-characters"),
        pytest.param('{le="+Inf"} # {trace_id="x"} 1', id="forged-exemplar"),
        pytest.param("日本語😀", id="beyond-ascii"),
    ],
)
def test_texts_of_senders_are_only_values(accept: str, hostile: str) -> None:
    """Whatever a sender calls its operation, it is one value of one label and makes no other line."""
    exposed = Exposed()
    exposed.record(CALL_DURATION, 1, attributes={"rpc.method": hostile, "error.type": hostile})
    families = exposed.families(accept)

    (family,) = [one for one in families.values() if one.name == "rpc_client_call_duration_seconds"]
    assert {sample.labels["rpc_method"] for sample in family.samples} == {hostile}
    assert {sample.labels["error_type"] for sample in family.samples} == {hostile}
    assert not [name for name in families if "forged" in name]


def test_each_bucket_has_its_exemplar() -> None:
    """Of each bucket the last sampled call is the exemplar, with its own ids and value; others have none."""
    exposed = Exposed()
    slow, orphan = TraceContext(trace_id=3, span_id=4), TraceContext(trace_id=5, span_id=6)
    exposed.record(CALL_DURATION, 0.3, TraceContext(trace_id=1, span_id=2))
    exposed.record(CALL_DURATION, 0.4, SPAN)
    exposed.record(CALL_DURATION, 0.4, None)
    exposed.record(CALL_DURATION, 99.0, slow, attributes={"rpc.method": "EC2/Slow"})
    exposed.record(CALL_DURATION, 0.01, None, attributes={"rpc.method": "EC2/Unsampled"})
    exposed.record(ATTEMPT_DURATION, 0.005, orphan)
    found = {
        (sample.name, sample.labels["rpc_method"], sample.labels["le"]): (sample.exemplar.labels, sample.exemplar.value)
        for family in exposed.families(OPENMETRICS).values()
        for sample in family.samples
        if sample.exemplar
    }

    calls, attempts = "rpc_client_call_duration_seconds_bucket", "csm_otel_attempt_duration_seconds_bucket"
    assert found == {
        (calls, "S3/ListBuckets", "0.5"): ({"trace_id": f"{0xA1:032x}", "span_id": f"{0xB2:016x}"}, 0.4),
        (calls, "EC2/Slow", "+Inf"): ({"trace_id": f"{3:032x}", "span_id": f"{4:016x}"}, 99.0),
        (attempts, "S3/ListBuckets", "0.005"): ({"trace_id": f"{5:032x}", "span_id": f"{6:016x}"}, 0.005),
    }


def test_the_text_format_has_no_exemplars() -> None:
    """It cannot have them."""
    exposed = Exposed()
    exposed.record(CALL_DURATION, 0.3, SPAN)

    assert "trace_id" not in exposed.text()


def test_the_series_are_bounded() -> None:
    """Beyond the bound all others are one series, whatever senders make up."""
    exposed = Exposed()
    for number in range(SERIES + 10):
        exposed.record(CALL_ATTEMPTS, 1, attributes={"rpc.method": str(number)})
    counts = [one for one in exposed.families()["csm_otel_call_attempts"].samples if one.name.endswith("_count")]

    assert len(counts) == SERIES + 1
    assert [one.value for one in counts if one.labels.get("otel_metric_overflow")] == [10]


def test_counts_go_on_between_scrapes() -> None:
    """Each scrape gets the totals since the start."""
    tally = Tally(calls=1)
    exposed = Exposed(tally)
    exposed.record(CALL_ATTEMPTS, 2)
    assert values(exposed.families().values(), "csm_otel_calls_total") == [1]
    tally.calls += 5
    exposed.record(CALL_ATTEMPTS, 2)

    assert values(exposed.families().values(), "csm_otel_calls_total") == [6]
    assert values(exposed.families().values(), "csm_otel_call_attempts_count") == [2]


class Scraping:
    """Delivers anything, and scrapes meanwhile."""

    def __init__(self) -> None:
        self.exposed: Exposed | None = None
        self.texts: list[str] = []

    def deliver(self, request: bytes, *, timeout_seconds: float) -> Delivered:
        """Scrape."""
        assert request
        assert timeout_seconds
        assert self.exposed
        self.texts.append(self.exposed.text())
        return Delivered()

    def close(self) -> None:
        """Do nothing."""


def test_while_the_last_export_is_made() -> None:
    """At shutdown scrapes get the counts as long as the other exporter needs for its last export."""
    deliverer = Scraping()
    exporter = OtlpMetricExporter(deliverer, timeout_seconds=DEADLINE_SECONDS, say=print)
    deliverer.exposed = Exposed(Tally(calls=3), exporter=exporter)
    deliverer.exposed.metrics.close(deadline_seconds=DEADLINE_SECONDS)

    (text,) = deliverer.texts
    assert "csm_otel_calls_total{" in text
