"""Decoded events (`ApiCall`, a call by the application; `ApiCallAttempt`, one HTTP request for it) and their origin.

`csm_otel.csm.decoding.decode` returns them. They hold no secret: of the access key there is only its account, of the
session token nothing. Their fields are also the keys of a recording (`csm_otel.files.recording`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Sequence

# The end of the year 2261: in nanoseconds, and with a day added, it still fits a signed 64-bit integer.
MAX_TIMESTAMP_MS = 9_214_646_400_000
MAX_LATENCY_MS = 24 * 60 * 60 * 1000
LOWEST_STATUS, HIGHEST_STATUS = 100, 599
COUNT_LIMIT = 10**18

THROTTLING_ERRORS = frozenset({
    "BandwidthLimitExceeded", "EC2ThrottledException", "LimitExceededException", "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException", "RequestLimitExceeded", "RequestThrottled", "RequestThrottledException",
    "SlowDown", "ThrottledException", "Throttling", "ThrottlingException", "TooManyRequestsException",
    "TransactionInProgressException",
})  # fmt: skip
"""Error codes that the SDKs treat as throttling: botocore's retries/standard.py, ThrottledRetryableChecker."""

# Decoding enforces these bounds by itself; the annotations are for reading a recording.
_Timestamp = Annotated[int, Meta(gt=0, le=MAX_TIMESTAMP_MS)]
_Latency = Annotated[int, Meta(ge=0, le=MAX_LATENCY_MS)]
_Status = Annotated[int, Meta(ge=LOWEST_STATUS, le=HIGHEST_STATUS)]
_Count = Annotated[int, Meta(ge=0, lt=COUNT_LIMIT)]


class Dialect(StrEnum):
    """An SDK family. They differ in their timestamps, the order in which they send, and their sockets."""

    BOTOCORE = "botocore"
    CPP = "cpp"
    DOTNET = "dotnet"
    GO = "go"
    JAVA = "java"
    JS = "js"
    PHP = "php"
    RUBY = "ruby"
    UNKNOWN = "unknown"


class Peer(NamedTuple):
    """The source address of a datagram."""

    host: str
    port: int
    generation: int = 0
    """Distinguishes successive processes on one port, if processes are tracked; else 0."""

    @property
    def is_loopback(self) -> bool:
        """Whether the sender is on this machine (and in this network namespace)."""
        return self.host.startswith("127.") or self.host == "::1"


class Origin(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
    cache_hash=True,  # it is part of the key of each span
):
    """The process behind a peer."""

    pid: _Count
    start_ticks: _Count
    """Start in kernel ticks since boot. With the pid it identifies the process, whatever happens to the clock."""
    start_ns: Annotated[int, Meta(ge=0, le=MAX_TIMESTAMP_MS * 1_000_000)]
    """Start in epoch nanoseconds, with the precision of the ticks (10 ms)."""
    name: str
    """The name for display."""
    executable: str = ""
    """Basename of the program; empty if unknown."""
    container_id: str = ""

    @property
    def process(self) -> tuple[int, int]:
        """Pid and start: unique, even when the pid is reused."""
        return self.pid, self.start_ticks


class ProcessEnd(NamedTuple):
    """The end of a process."""

    origin: Origin
    noticed_ns: int
    """Epoch nanoseconds."""
    is_exact: bool
    """Whether the process ended at that time, rather than some time before."""


class Ended(NamedTuple):
    """Processes and peers that ended at about the same time."""

    processes: Sequence[ProcessEnd]
    peers: Sequence[Peer]
    """Peers that will send no more: of these processes, or of others that ended before."""


class Failure(msgspec.Struct, frozen=True, gc=False):
    """An exception as sent, redacted.

    Either text may be empty: PHP sends no name for a network failure, C++ messages without names.
    """

    name: str
    message: str


class Latencies(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """Durations of the phases of an attempt, in milliseconds, as far as its SDK measures them."""

    acquire_connection_ms: _Latency | None = None
    connect_ms: _Latency | None = None
    request_ms: _Latency | None = None
    dns_ms: _Latency | None = None
    tcp_ms: _Latency | None = None
    tls_ms: _Latency | None = None


class _Event(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="type",
    tag=True,
    gc=False,  # no event can be part of a cycle
):
    dialect: Dialect
    service: str
    api: str
    client_id: str = ""
    """As sent, with the trace context if it ends in one; empty if absent."""
    timestamp_ms: _Timestamp | None = None
    """Epoch milliseconds: the start, but the end for Go; see `csm_otel.csm.times`."""
    latency_ms: _Latency | None = None
    """Milliseconds, 0 to 24 h."""
    region: str | None = None
    user_agent: str | None = None
    status: _Status | None = None
    """HTTP status of the (last) response, 100 to 599; None without a response."""
    aws_exception: Failure | None = None
    sdk_exception: Failure | None = None
    account_id: str | None = None
    """The 12-digit account of the access key."""
    size_bytes: _Count = 0
    """Size of the payload that held it, as an estimate of the memory it uses."""


class ApiCall(_Event, frozen=True, gc=False):
    """One call of a client method, sent when it ends."""

    attempt_count: _Count | None = None
    max_retries_exceeded: bool | None = None
    timed_out: bool | None = None
    """Java only: the client's execution timeout ended the call."""
    request_id: str | None = None
    """Go only: the request id of the last attempt."""

    @property
    def has_result(self) -> bool:
        """Whether the call has any Final* field."""
        return self.status is not None or self.aws_exception is not None or self.sdk_exception is not None


class ApiCallAttempt(_Event, frozen=True, gc=False):
    """One HTTP request, sent when it has its response or has failed."""

    fqdn: str | None = None
    """Host name as sent, with the port if the SDK sends one."""
    request_id: str | None = None
    """x-amzn-RequestId, or if that is empty, x-amz-request-id."""
    extended_request_id: str | None = None
    destination_ip: str | None = None
    connection_reused: bool | None = None
    latencies: Latencies | None = None
    not_sent: bool = False
    """Ruby only: it failed in the client, before there was a request."""


Event = ApiCall | ApiCallAttempt
