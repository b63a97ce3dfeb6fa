"""Calls and attempts with their times, as the correlator passes them on."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from datagrams import BASE_MS, attempt

from csm_otel.correlation.released import Observed
from csm_otel.csm.decoding import decode
from csm_otel.csm.events import ApiCall, ApiCallAttempt, Dialect, Event, Peer
from csm_otel.csm.times import NS_PER_MS, interval_of

E = TypeVar("E", bound=Event)

PEER = Peer("127.0.0.1", 40_000)


def observed_call(payload: bytes, *, received: int | None = None) -> Observed[ApiCall]:
    """Return an observed call, received at its end or ``received`` ms after `BASE_MS`."""
    (event,) = decode(payload).events
    assert isinstance(event, ApiCall)
    received_ns = (BASE_MS + (30 if received is None else received)) * NS_PER_MS
    start_ns, end_ns = interval_of(event, received_ns=received_ns)
    return Observed(
        event=event,
        peer=PEER,
        received_ns=received_ns,
        start_ns=start_ns,
        end_ns=end_ns,
        match_start_ns=start_ns,
        match_end_ns=end_ns,
    )


def observed(
    start: int, end: int, dialect: Dialect = Dialect.BOTOCORE, /, **changes: object
) -> Observed[ApiCallAttempt]:
    """Return an observed attempt from ``start`` to ``end``, in ms after `BASE_MS`, received at its end."""
    stamp = end if dialect is Dialect.GO else start
    times = {"Timestamp": BASE_MS + stamp, "AttemptLatency": end - start}
    (event,) = decode(attempt(dialect, **(times | changes))).events
    assert isinstance(event, ApiCallAttempt)
    start_ns, end_ns = (BASE_MS + start) * NS_PER_MS, (BASE_MS + end) * NS_PER_MS
    return Observed(
        event=event,
        peer=PEER,
        received_ns=end_ns,
        start_ns=start_ns,
        end_ns=end_ns,
        match_start_ns=start_ns,
        match_end_ns=end_ns,
    )


def received_at(one: Observed[E], ms: float) -> Observed[E]:
    """Return the same event, received ``ms`` after `BASE_MS`."""
    return msgspec.structs.replace(one, received_ns=int((BASE_MS + ms) * NS_PER_MS))
