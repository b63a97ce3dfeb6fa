"""AWS SDK Client Side Monitoring (CSM) to OpenTelemetry.

The pipeline, one type at each arrow::

    datagram --decode--> Event --Correlator--> Released --SpanMapper--> SpanData --encode--> bytes --deliver--> Outcome

The names below are the library: everything up to `SpanData`, without I/O, clock or threads. docs/library.md is its
guide. They are imported when they are first used, as ``csm-otel exec`` starts its command before it loads any of them.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it; to import typing takes longer than all the rest here
if TYPE_CHECKING:
    from csm_otel.correlation.correlator import Correlator, CorrelatorLimits
    from csm_otel.correlation.released import CorrelatedCall, OrphanAttempt, Reason
    from csm_otel.csm.decoding import Decoded, decode
    from csm_otel.csm.events import ApiCall, ApiCallAttempt, Dialect, Failure, Peer
    from csm_otel.csm.times import TimestampMode
    from csm_otel.errors import CsmOtelError, MalformedDatagramError
    from csm_otel.spans.data import Resource, SpanData, SpanEvent, SpanKind, SpanRole, TraceContext
    from csm_otel.spans.ids import RandomIds, SeededIds
    from csm_otel.spans.mapper import SpanMapper
    from csm_otel.spans.options import MappingOptions, MessageMode, RpcConventions

__all__ = [
    "ApiCall",
    "ApiCallAttempt",
    "CorrelatedCall",
    "Correlator",
    "CorrelatorLimits",
    "CsmOtelError",
    "Decoded",
    "Dialect",
    "Failure",
    "MalformedDatagramError",
    "MappingOptions",
    "MessageMode",
    "OrphanAttempt",
    "Peer",
    "RandomIds",
    "Reason",
    "Resource",
    "RpcConventions",
    "SeededIds",
    "SpanData",
    "SpanEvent",
    "SpanKind",
    "SpanMapper",
    "SpanRole",
    "TimestampMode",
    "TraceContext",
    "decode",
]

__version__ = "0.1.0"

_MODULES = {
    "csm_otel.correlation.correlator": ("Correlator", "CorrelatorLimits"),
    "csm_otel.correlation.released": ("CorrelatedCall", "OrphanAttempt", "Reason"),
    "csm_otel.csm.decoding": ("Decoded", "decode"),
    "csm_otel.csm.events": ("ApiCall", "ApiCallAttempt", "Dialect", "Failure", "Peer"),
    "csm_otel.csm.times": ("TimestampMode",),
    "csm_otel.errors": ("CsmOtelError", "MalformedDatagramError"),
    "csm_otel.spans.data": ("Resource", "SpanData", "SpanEvent", "SpanKind", "SpanRole", "TraceContext"),
    "csm_otel.spans.ids": ("RandomIds", "SeededIds"),
    "csm_otel.spans.mapper": ("SpanMapper",),
    "csm_otel.spans.options": ("MappingOptions", "MessageMode", "RpcConventions"),
}


if not TYPE_CHECKING:  # else type checkers would accept any name

    def __getattr__(name: str) -> object:
        """Import a public name when it is first used (PEP 562).

        Raises:
            AttributeError: there is no such name.
        """
        from importlib import import_module  # ruff: ignore[import-outside-top-level]

        for module, names in _MODULES.items():
            if name in names:
                value: object = getattr(import_module(module), name)
                globals()[name] = value  # the next use finds it without this function
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, imported or not, and those of the module itself."""
    return sorted({*globals(), *__all__})
