"""What the correlator releases: a call with its attempts (`CorrelatedCall`), or an attempt alone (`OrphanAttempt`)."""

from __future__ import annotations

from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from csm_otel.csm.events import ApiCall, ApiCallAttempt, Event, Peer

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


class Reason(StrEnum):
    """Why a call or an orphan left the correlator."""

    COMPLETE = "complete"
    EXPIRED = "expired"
    EVICTED = "evicted"
    FLUSHED = "flushed"
    ENDED = "ended"
    """Its sender will send no more."""


class CorrelatedCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call with the attempts that were made for it, in order of time, the last one last."""

    call: Observed[ApiCall]
    attempts: tuple[Observed[ApiCallAttempt], ...]
    missing: int
    """How many attempts the call counts that were not found."""
    ambiguous: bool
    """Whether another choice of attempts is nearly as likely as this one."""
    reason: Reason


class OrphanAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt whose call never came."""

    attempt: Observed[ApiCallAttempt]
    reason: Reason


Released = CorrelatedCall | OrphanAttempt
