"""Datagrams that arrive at a correlator, and its releases, as readable lines.

An arrival is a datagram, the time of its arrival in ms after `BASE_MS`, and its source. A release is a line:
``call@0 [a b]`` is the call that began at 0 ms with the attempts of those request ids, followed by anything unusual
about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, SupportsIndex

from datagrams import BASE_MS, attempt, call

from csm_otel.correlation.correlator import Correlator, CorrelatorLimits
from csm_otel.correlation.group import Group
from csm_otel.correlation.released import OrphanAttempt, Reason, Released
from csm_otel.csm.decoding import decode
from csm_otel.csm.events import ApiCallAttempt, Dialect, Peer
from csm_otel.csm.times import NS_PER_MS

if TYPE_CHECKING:
    from csm_otel.correlation.assignment import PendingCall
    from csm_otel.correlation.backoffs import Learner
    from csm_otel.correlation.released import Observed
    from csm_otel.csm.events import ApiCall

GRACE, WAIT = CorrelatorLimits().grace_seconds, CorrelatorLimits().attempt_wait_seconds
BOTOCORE, GO, RUBY, PHP, JS = Dialect.BOTOCORE, Dialect.GO, Dialect.RUBY, Dialect.PHP, Dialect.JS
DOTNET, JAVA, CPP = Dialect.DOTNET, Dialect.JAVA, Dialect.CPP

REFUSED: dict[str, Any] = {
    "SdkException": "EndpointConnectionError",
    "SdkExceptionMessage": "refused",
    "HttpStatusCode": None,
}
FINALLY_REFUSED: dict[str, Any] = {
    "FinalSdkException": "EndpointConnectionError",
    "FinalSdkExceptionMessage": "refused",
    "FinalHttpStatusCode": None,
}
RUBY_NULLS: dict[str, Any] = dict.fromkeys(["Timestamp", "Fqdn", "Region", "UserAgent", "AccessKey", "XAmznRequestId"])


class Arrival(NamedTuple):
    """A datagram, the time of its arrival (ms after `BASE_MS`), and its source."""

    payload: bytes
    at: int
    port: int = 40_000
    host: str = "127.0.0.1"
    generation: int = 0


def tried(
    name: str,
    start: int,
    end: int,
    dialect: Dialect = BOTOCORE,
    /,
    *,
    port: int = 40_000,
    at: int | None = None,
    **changes: object,
) -> Arrival:
    """Return an attempt from ``start`` to ``end`` with the request id ``name``, sent when it ended."""
    stamp = end if dialect is GO else start
    times = {"Timestamp": BASE_MS + stamp, "AttemptLatency": end - start, "XAmznRequestId": name}
    return Arrival(attempt(dialect, **(times | changes)), end if at is None else at, port)


def called(
    start: int,
    end: int,
    dialect: Dialect = BOTOCORE,
    /,
    *,
    port: int = 40_000,
    at: int | None = None,
    **changes: object,
) -> Arrival:
    """Return a call from ``start`` to ``end``, sent when it ended."""
    stamp = end if dialect is GO else start
    times = {"Timestamp": BASE_MS + stamp, "Latency": end - start}
    return Arrival(call(dialect, **(times | changes)), end if at is None else at, port)


def failed(status: int | None = 503, name: str = "SlowDown", message: str = "slow") -> dict[str, Any]:
    """Return the fields of a failed attempt."""
    return {"HttpStatusCode": status, "AwsException": name, "AwsExceptionMessage": message}


def finally_failed(status: int | None = 503, name: str = "SlowDown", message: str = "slow") -> dict[str, Any]:
    """Return the Final* fields of a call whose last attempt failed so."""
    return {"FinalHttpStatusCode": status, "FinalAwsException": name, "FinalAwsExceptionMessage": message}


def arrive(correlator: Correlator, arrival: Arrival) -> list[Released]:
    """Expire what is due, then receive one datagram, as the loop does."""
    now = arrival.at / 1000
    released = correlator.expire(now=now)
    for event in decode(arrival.payload).events:
        released += correlator.receive(
            event,
            peer=Peer(arrival.host, arrival.port, arrival.generation),
            received_ns=(BASE_MS + arrival.at) * NS_PER_MS,
            now=now,
        )
    return released


def as_lines(released: list[Released]) -> list[str]:
    """Return releases as lines."""
    return [_line(one) for one in released]


def _line(released: Released) -> str:
    if isinstance(released, OrphanAttempt):
        return f"orphan {_name(released.attempt.event)} {released.reason}"
    start = (released.call.start_ns // NS_PER_MS) - BASE_MS
    words = [f"call@{start} [{' '.join(_name(attempt.event) for attempt in released.attempts)}]"]
    words += [f"missing {released.missing}"] if released.missing else []
    words += ["ambiguous"] if released.ambiguous else []
    words += [str(released.reason)] if released.reason is not Reason.COMPLETE else []
    return " ".join(words)


def _name(attempt: ApiCallAttempt) -> str:
    return attempt.request_id or "-"


def transcript(*arrivals: Arrival) -> list[str]:
    """Return a correlator's releases for these arrivals and the final flush, as lines."""
    return as_lines(all_released(*arrivals))


def all_released(*arrivals: Arrival, limits: CorrelatorLimits | None = None) -> list[Released]:
    """Return a correlator's releases for these arrivals and the final flush."""
    correlator = Correlator(limits)
    released = [one for arrival in arrivals for one in arrive(correlator, arrival)]
    last = arrivals[-1].at / 1000
    released += correlator.expire(now=last + GRACE)
    released += correlator.flush()
    assert (correlator.pending_events, correlator.pending_bytes) == (0, 0)
    return released


class _SearchingGroup(Group):
    def certain_attempts(self, call: Observed[ApiCall]) -> tuple[int, ...]:  # ruff: ignore[no-self-use] - overrides
        """Return none, so that every call is decided by a search."""
        del call
        return ()

    def certain_call(self, attempt: Observed[ApiCallAttempt]) -> None:
        """Return None likewise."""

    def _assign(self, pending: PendingCall) -> None:
        """Search, even where that was in vain before and nothing has changed."""
        pending.searched = -1
        super()._assign(pending)


class _SearchingGroups(list[Group]):  # ruff: ignore[subclass-builtin] - only these methods are used
    """Spare groups that never run out."""

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        self._learner = learner

    def __bool__(self) -> bool:
        return True

    def pop(self, index: SupportsIndex = -1) -> Group:
        """Return a new group."""
        del index
        return _SearchingGroup(self._learner)


def searching_correlator(limits: CorrelatorLimits | None = None) -> Correlator:
    """Return a correlator that decides every call by a search, even where there is nothing to choose."""
    correlator = Correlator(limits)
    correlator._spare = _SearchingGroups(correlator._learner)
    return correlator
