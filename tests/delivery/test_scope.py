"""The instrumentation scope."""

from __future__ import annotations

from opentelemetry.semconv.schemas import Schemas

from csm_otel import __version__
from csm_otel.delivery.scope import SCOPE


def test_the_scope_is_the_bridge_with_the_newest_schema() -> None:
    """The instrumentation scope has the package's version and the conventions' newest schema URL."""
    newest = max((schema.value for schema in Schemas), key=lambda url: [int(n) for n in url.rsplit("/")[-1].split(".")])
    assert SCOPE == ("csm_otel", __version__, newest)
