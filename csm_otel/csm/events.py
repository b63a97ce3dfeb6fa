"""What a CSM datagram says: `ApiCall` (what the application made) and `ApiCallAttempt` (one HTTP request for it).

These are the values every later stage works on. They are made by `csm_otel.csm.decoding.decode` and hold no secret: the
access key is gone but for the account it belongs to, the session token altogether.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Sequence

# Nanoseconds of it, with a day on either side, are a signed 64-bit number: the end of the year 2261.
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

# Bounds are kept by decoding; they stand here for those who read events back.
_Timestamp = Annotated[int, Meta(gt=0, le=MAX_TIMESTAMP_MS)]
_Latency = Annotated[int, Meta(ge=0, le=MAX_LATENCY_MS)]
_Status = Annotated[int, Meta(ge=LOWEST_STATUS, le=HIGHEST_STATUS)]
_Count = Annotated[int, Meta(ge=0, lt=COUNT_LIMIT)]


class Dialect(StrEnum):
    """Which SDK family wrote an event: they differ in what an instant means, in order and in sockets."""

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
    """Where a datagram came from."""

    host: str
    port: int
    generation: int = 0
    """Tells processes apart that had the port one after the other, where somebody watches; else 0."""

    @property
    def is_loopback(self) -> bool:
        """Whether the sender is on this machine (and in this network namespace)."""
        return self.host.startswith("127.") or self.host == "::1"


class Origin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The process behind a peer, as its system describes it."""

    pid: _Count
    start_ticks: _Count
    """When it started, as its kernel counts: with the pid it is one process for good, however clocks are set."""
    start_ns: Annotated[int, Meta(ge=0, le=MAX_TIMESTAMP_MS * 1_000_000)]
    """The same in epoch nanoseconds, as exact as the kernel's ticks (10 ms)."""
    name: str
    """What a person would call it."""
    executable: str = ""
    """Basename of the program; empty where it may not be known."""
    container_id: str = ""

    @property
    def process(self) -> tuple[int, int]:
        """What identifies the process: another that gets its pid started at another time."""
        return self.pid, self.start_ticks


class ProcessEnd(NamedTuple):
    """A process has ended."""

    origin: Origin
    noticed_ns: int
    """Epoch nanoseconds."""
    is_exact: bool
    """Whether it ended just then, not some time before."""


class Ended(NamedTuple):
    """What has ended at about the same time."""

    processes: Sequence[ProcessEnd]
    peers: Sequence[Peer]
    """Peers that will send no more, of these processes or of others that ended before."""


class Failure(msgspec.Struct, frozen=True):
    """An exception as the sender named it, redacted by value.

    Either text may be empty: PHP names nothing on a network failure, C++ sends messages without names. That the fields
    were there at all is the fact.
    """

    name: str
    message: str


class Latencies(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Parts of an attempt that some SDKs measure, in milliseconds."""

    acquire_connection_ms: _Latency | None = None
    connect_ms: _Latency | None = None
    request_ms: _Latency | None = None
    dns_ms: _Latency | None = None
    tcp_ms: _Latency | None = None
    tls_ms: _Latency | None = None


class _Event(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="type",
    tag=True,
):
    dialect: Dialect
    service: str
    api: str
    client_id: str = ""
    """As sent, a trace context at its end included; absent and empty are the same."""
    timestamp_ms: _Timestamp | None = None
    """Epoch milliseconds: the start, but for Go (and senders judged like it) the end."""
    latency_ms: _Latency | None = None
    """Milliseconds, 0 to 24 h."""
    region: str | None = None
    user_agent: str | None = None
    status: _Status | None = None
    """HTTP status of the (last) response, 100..599; absent when there was none."""
    aws_exception: Failure | None = None
    sdk_exception: Failure | None = None
    account_id: str | None = None
    """12 digits: the account that the access key belongs to."""
    size_bytes: _Count = 0
    """Bytes of the payload it came in, as a measure of what keeping it costs."""


class ApiCall(_Event, frozen=True, kw_only=True):
    """One call of a client method, sent when it has ended."""

    attempt_count: _Count | None = None
    max_retries_exceeded: bool | None = None
    timed_out: bool | None = None
    """Java: the client's own execution timeout ended the call."""
    request_id: str | None = None
    """Go only: the request id of the last attempt, which it identifies."""

    @property
    def has_result(self) -> bool:
        """Whether the call has any Final* field."""
        return self.status is not None or self.aws_exception is not None or self.sdk_exception is not None


class ApiCallAttempt(_Event, frozen=True, kw_only=True):
    """One HTTP request, sent when its response (or failure) was there."""

    fqdn: str | None = None
    """Host name as sent, a port included where the SDK sends one."""
    request_id: str | None = None
    """x-amzn-RequestId, else x-amz-request-id: the first that is not empty."""
    extended_request_id: str | None = None
    destination_ip: str | None = None
    connection_reused: bool | None = None
    latencies: Latencies | None = None
    not_sent: bool = False
    """Ruby: a client-side failure, described by nulls."""


Event = ApiCall | ApiCallAttempt
