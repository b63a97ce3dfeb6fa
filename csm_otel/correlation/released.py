"""What the correlator releases: `CorrelatedCall`, a call with its attempts, or `OrphanAttempt`."""

from __future__ import annotations

from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from csm_otel.csm.events import ApiCall, ApiCallAttempt, Event, Peer

E = TypeVar("E", bound=Event)
E_co = TypeVar("E_co", bound=Event, covariant=True)


class Observed(msgspec.Struct, Generic[E_co], frozen=True, kw_only=True, gc=False):
    """An event with its source and its times in epoch nanoseconds."""

    event: E_co
    peer: Peer
    received_ns: int
    start_ns: int
    end_ns: int
    match_start_ns: int
    match_end_ns: int
    """Start and end for correlation: derived from the receipt where the sender's clock is implausible."""


class Reason(StrEnum):
    """Why a call or an orphan left the correlator."""

    COMPLETE = "complete"
    """The call is settled, or has all its attempts."""
    EXPIRED = "expired"
    """Its deadline passed."""
    EVICTED = "evicted"
    """Too many events were pending."""
    FLUSHED = "flushed"
    """The correlator was flushed."""
    ENDED = "ended"
    """Its sender has ended."""


class CorrelatedCall(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A call with its attempts in order of time, the last one last."""

    call: Observed[ApiCall]
    attempts: tuple[Observed[ApiCallAttempt], ...]
    missing: int
    """How many of the attempts that the call counts were not found."""
    ambiguous: bool
    """Whether another assignment of attempts is nearly as likely."""
    reason: Reason


class OrphanAttempt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An attempt whose call was not received."""

    attempt: Observed[ApiCallAttempt]
    reason: Reason


Released = CorrelatedCall | OrphanAttempt
