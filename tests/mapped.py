"""Arrivals to span data with ids that count up and a small resource."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrivals import Arrival, arrive

from csm_otel.correlation.correlator import Correlator
from csm_otel.spans.mapper import SpanMapper

if TYPE_CHECKING:
    from csm_otel.correlation.released import Released
    from csm_otel.spans.data import AttributeValue, SpanData, TraceContext
    from csm_otel.spans.options import MappingOptions

RESOURCE: dict[str, AttributeValue] = {"telemetry.distro.name": "csm-otel"}
HOST = "the-host"


class CountingIds:
    """Ids in the order in which they were generated."""

    def __init__(self) -> None:
        self._last = 0

    def generate_trace_id(self) -> int:
        """Return the next id, in the upper half of 128 bits."""
        self._last += 1
        return self._last << 64

    def generate_span_id(self) -> int:
        """Return the next id."""
        self._last += 1
        return self._last


def mapper(*, parent: TraceContext | None = None, options: MappingOptions | None = None) -> SpanMapper:
    """Return a mapper with ids that count up."""
    return SpanMapper(ids=CountingIds(), resource=RESOURCE, host_name=HOST, options=options, parent=parent)


def released_by(*arrivals: Arrival) -> list[Released]:
    """Return all releases of a correlator for these arrivals."""
    correlator = Correlator()
    released = [one for arrival in arrivals for one in arrive(correlator, arrival)]
    return released + correlator.flush()


def mapped(
    *arrivals: Arrival, parent: TraceContext | None = None, options: MappingOptions | None = None
) -> list[SpanData]:
    """Return the spans of all releases of a correlator for these arrivals."""
    using = mapper(parent=parent, options=options)
    return [span for released in released_by(*arrivals) for span in using.map(released)]
