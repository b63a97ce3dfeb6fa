"""Delivery of encoded requests to a back end, whichever the protocol: `Deliverer`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from csm_otel.delivery.destination import Destination
    from csm_otel.delivery.outcome import Outcome


class Deliverer(Protocol):
    """Delivers encoded requests to one destination. Used by one thread; `close` may be called by another."""

    def deliver(self, request: bytes, *, timeout_seconds: float) -> Outcome:
        """Send an encoded ExportTraceServiceRequest once, and return the outcome."""
        ...

    def close(self) -> None:
        """Close connections and files, without waiting for a delivery under way."""
        ...


def open_deliverer(destination: Destination) -> Deliverer:
    """Return the deliverer of a destination; nothing is connected yet.

    Raises:
        SettingsError: a certificate, a header or the URL cannot be used.
    """
    # The libraries of the protocol that is not in use would cost a tenth of a second and tens of megabytes.
    if destination.protocol == "grpc":
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its C core writes to stderr on its own
        from csm_otel.delivery.grpc import GrpcDeliverer  # ruff: ignore[import-outside-top-level]

        return GrpcDeliverer(destination)
    from csm_otel.delivery.http import HttpDeliverer  # ruff: ignore[import-outside-top-level]

    return HttpDeliverer(destination)
