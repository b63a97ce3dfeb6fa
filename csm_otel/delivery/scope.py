"""The instrumentation scope of all telemetry: `SCOPE`."""

from __future__ import annotations

from typing import NamedTuple

from opentelemetry.semconv.schemas import Schemas

from csm_otel import __version__


class Scope(NamedTuple):
    """An instrumentation scope."""

    name: str
    version: str
    schema_url: str


SCOPE = Scope("csm_otel", __version__, list(Schemas)[-1].value)
"""With the newest schema of the conventions: the package lists its schemas oldest first."""
