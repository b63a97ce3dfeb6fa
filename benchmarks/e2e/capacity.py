"""The section ``sink``: how much the back end of the other sections takes, which must be more than they send."""

from __future__ import annotations

import http.client
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grpc
from conformance.recordings import trees
from opentelemetry.sdk.trace import SpanLimits

from benchmarks.e2e.programs import Sink
from benchmarks.e2e.sink import METHOD
from benchmarks.e2e.table import Row
from csm_otel.delivery.encoding import encode

if TYPE_CHECKING:
    from collections.abc import Callable

_RECORDING = "boto3_mt8_client"
_SPANS = 512
_SECONDS = 1.0


def sink(runs: int, progress: Callable[[str], None]) -> list[Row]:
    """Measure how many requests of a full batch a sink takes from one client."""
    spans = [span for tree in trees(_RECORDING) for span in tree][:_SPANS]
    body = encode(spans, limits=SpanLimits())
    rows = []
    for protocol, post in (("http", _post), ("grpc", _call)):
        rates = []
        for _ in range(runs):
            with Sink(protocol) as one:
                rates.append(post(one.endpoint, body))
        progress(f"{protocol}: {max(rates):,.0f}/s")
        what = f"requests of {_SPANS} spans, {len(body):,} bytes, over {protocol}"
        rows.append(Row("sink", what, "/s", rates, note=f"{_SPANS * min(rates):,.0f} spans/s at least"))
    return rows


def _post(endpoint: str, body: bytes) -> float:
    with closing(http.client.HTTPConnection(urlsplit(endpoint).netloc)) as connection:

        def send() -> None:
            connection.request("POST", "/v1/traces", body)
            connection.getresponse().read()

        return _per_second(send)


def _call(endpoint: str, body: bytes) -> float:
    with grpc.insecure_channel(urlsplit(endpoint).netloc) as channel:
        export: Any = channel.unary_unary(METHOD)
        return _per_second(lambda: export(body))


def _per_second(send: Callable[[], object]) -> float:
    count = 0
    send()  # connects
    began = time.monotonic()
    while time.monotonic() - began < _SECONDS:
        send()
        count += 1
    return count / (time.monotonic() - began)
