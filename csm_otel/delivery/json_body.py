"""The body of a request as OTLP/JSON, for the protocol ``http/json``: `json_body`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from google.protobuf.json_format import MessageToDict

from csm_otel.files.otlp_json import otlp_json

if TYPE_CHECKING:
    from csm_otel.delivery.destination import Signal


def json_body(request: bytes, signal: Signal) -> bytes:
    """Return an encoded request as OTLP/JSON.

    Metrics become protobuf's JSON: the two differ in ids only, and ours have no exemplars.
    """
    if signal == "traces":
        return msgspec.json.encode(otlp_json(request))
    # runs without metrics are spared its import
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (  # ruff: ignore[import-outside-top-level]
        ExportMetricsServiceRequest,
    )

    message = ExportMetricsServiceRequest.FromString(request)
    return msgspec.json.encode(MessageToDict(message, use_integers_for_enums=True))
