"""Delivery of encoded requests to a back end, whichever the protocol: `Deliverer`."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING, Protocol

from csm_otel.delivery.authorities import authorities_of
from csm_otel.errors import Fault, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from csm_otel.delivery.destination import Destination
    from csm_otel.delivery.outcome import Outcome

_MIB = 1024**2
# gRPC's C core aborts the process where it cannot start a thread, or the C library ends it. Seen with limits of up to
# 440 MB: each of its threads, twenty at most, reserves 8 MiB for its stack, and 64 MiB for its heap while it can.
_GRPC_ADDRESS_BYTES = 1024 * _MIB


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
        SettingsError: a certificate, a header, the URL or the protocol cannot be used.
    """
    if destination.protocol == "grpc":
        _check_address_space()
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


def _check_address_space() -> None:
    """Raise if this process may have less address space than gRPC needs.

    Raises:
        SettingsError: it may.
    """
    limit_bytes = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit_bytes != resource.RLIM_INFINITY and limit_bytes < _GRPC_ADDRESS_BYTES:
        text = (
            f"gRPC needs 1 GiB of address space, this process may have {limit_bytes // _MIB} MiB (ulimit -v); "
            "http/protobuf needs less"
        )
        raise SettingsError([Fault("OTEL_EXPORTER_OTLP_PROTOCOL", text)])
