"""An event as it was observed: with where it came from, when it came, and when it happened."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from csm_otel.csm.events import Event, Peer

E_co = TypeVar("E_co", bound=Event, covariant=True)


class Observed(msgspec.Struct, Generic[E_co], frozen=True, kw_only=True):
    """An event with where it came from and when it happened, in epoch nanoseconds."""

    event: E_co
    peer: Peer
    received_ns: int
    start_ns: int
    end_ns: int
    match_start_ns: int
    match_end_ns: int
    """The same, but placed by the receipt where the sender's clock is not to be believed."""
