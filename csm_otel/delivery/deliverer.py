"""What brings encoded requests to a back end, whichever the protocol."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from csm_otel.delivery.destination import Destination
    from csm_otel.delivery.outcome import Outcome


class Deliverer(Protocol):
    """Brings encoded requests to one destination. Used by one thread; `close` may come from another."""

    def deliver(self, request: bytes, *, timeout_seconds: float) -> Outcome:
        """Send an encoded ExportTraceServiceRequest once, and say what came of it."""
        ...

    def close(self) -> None:
        """Give connections and files back; a delivery under way is not waited for."""
        ...


def open_deliverer(destination: Destination) -> Deliverer:
    """Return what delivers to a destination; nothing is connected yet.

    A certificate or URL that cannot be used is a SettingsError.
    """
    # The libraries of the protocol that is not in use would cost a tenth of a second and tens of megabytes.
    if destination.protocol == "grpc":
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its C core writes to stderr on its own
        from csm_otel.delivery.grpc import GrpcDeliverer  # ruff: ignore[import-outside-top-level]

        return GrpcDeliverer(destination)
    from csm_otel.delivery.http import HttpDeliverer  # ruff: ignore[import-outside-top-level]

    return HttpDeliverer(destination)
