"""Delivery of encoded requests to a back end, whichever the protocol: `Deliverer`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from csm_otel.delivery.authorities import authorities_of

if TYPE_CHECKING:
    from collections.abc import Callable

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


def open_deliverer(destination: Destination, *, say: Callable[[str], None] | None = None) -> Deliverer:
    """Return the deliverer of a destination; nothing is connected yet.

    ``say`` is called with a line for the operator about each variable of another program that names authorities to
    trust where there are none.

    Raises:
        SettingsError: a certificate, a header or the URL cannot be used.
    """
    if say is not None and destination.is_secure and not destination.certificate:
        for fault in authorities_of(destination.protocol).faults:
            say(str(fault))
    # The libraries of the protocol that is not in use would cost a tenth of a second and tens of megabytes.
    if destination.protocol == "grpc":
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its C core writes to stderr on its own
        from csm_otel.delivery.grpc import GrpcDeliverer  # ruff: ignore[import-outside-top-level]

        return GrpcDeliverer(destination)
    from csm_otel.delivery.http import HttpDeliverer  # ruff: ignore[import-outside-top-level]

    return HttpDeliverer(destination)
