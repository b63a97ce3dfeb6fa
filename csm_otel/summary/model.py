"""What a run did, as plain values: `Summary`. Every report is made from it; docs/summary.md describes it as JSON."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from csm_otel.summary.access import Access

SCHEMA = 1
"""Raised when a key is removed or changes its meaning; keys may be added at any time."""


class Effect(StrEnum):
    """What a failed call meant for the run, as far as can be told."""

    FATAL = "fatal"
    """It was the last call of a command that then failed."""
    TOLERATED = "tolerated"
    """The command made further calls, or ended well."""
    QUESTION = "question"
    """It asked whether something exists, and it does not: a Head that was answered with 404."""
    UNKNOWN = "unknown"
    """How the program ended is not known."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Who made the calls, and from where to where. Lists are sorted; each has at most 50 entries."""

    name: str
    """The script or program; empty where there are several, or none is known."""
    exit_code: int | None
    """Of the command of `exec`, 128+n for signal n; else None."""
    trace_id: str
    """32 hexadecimal digits; empty where there is more than one trace."""
    traces: int
    start_ns: int
    """Epoch nanoseconds; 0 if there are no spans."""
    applications: list[str]
    """``service.name`` of the resources."""
    sdks: list[str]
    """With their versions."""
    accounts: list[str]
    """Those of the access keys."""
    regions: list[str]
    other_endpoints: list[str]
    """Hosts, with ports where they are known, that are not under the domains of AWS."""


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of the run."""

    calls: int
    failed: int
    retried: int
    throttled: int
    not_sent: int
    reads: int
    changes: int
    identity_calls: int
    """Calls to STS, of whatever result."""
    attempts: int
    """Those that were seen, with their calls or without."""


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """Where the time went, in milliseconds."""

    wall_ms: int
    """From the start of the command to its end, else from the first call to the end of the last."""
    in_calls_ms: int
    """In which at least one call was in progress."""
    in_back_off_ms: int
    """In which at least one call waited for its next attempt."""
    before_first_call_ms: int
    most_at_once: int
    """Calls in progress at once, at most."""


class OperationUse(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of one operation."""

    service: str
    api: str
    access: Access
    calls: int
    failed: int
    retried: int
    throttled: int
    not_sent: int
    p50_ms: int
    p95_ms: int
    max_ms: int
    total_ms: int

    @property
    def name(self) -> str:
        """The operation as spans have it."""
        return f"{self.service}.{self.api}"


class FailureGroup(msgspec.Struct, frozen=True, kw_only=True):
    """The failed calls of one operation with the same error."""

    service: str
    api: str
    error: str
    status: int | None
    """HTTP status; None without a response, or where they differ."""
    count: int
    first_ns: int
    last_ns: int
    """Epoch nanoseconds of the starts of the first and the last of them."""
    effect: Effect
    message: str
    """Of the first that has one; empty if none has."""
    advice: str
    """A sentence; empty if there is none."""

    @property
    def name(self) -> str:
        """The operation as spans have it."""
        return f"{self.service}.{self.api}"


class PatternKind(StrEnum):
    """A way of using an API that is worth a look."""

    REPEATED = "repeated"
    """Many calls of an operation, one directly after the other."""
    PAGED = "paged"
    """The same, of an operation that lists."""
    POLLED = "polled"
    """Calls at a fixed interval."""
    FAILING = "failing"
    """The same error again and again."""
    CREDENTIALS = "credentials"
    """Credentials were fetched several times."""
    CONNECTIONS = "connections"
    """Most requests needed a new connection."""


class Pattern(msgspec.Struct, frozen=True, kw_only=True):
    """A pattern that was found."""

    kind: PatternKind
    operation: str
    """Empty where it concerns all of them."""
    count: int
    threshold: int
    """From which count on it is a pattern."""
    text: str
    """A sentence with the figures."""


class ActionUse(msgspec.Struct, frozen=True, kw_only=True):
    """The IAM actions that the calls of an operation need."""

    service: str
    api: str
    actions: list[str] | None
    """Empty where none is needed, None where they are not known."""
    denied: int
    """Calls that were denied."""


class Uncertainty(msgspec.Struct, frozen=True, kw_only=True):
    """What was lost, or is not certain."""

    attempts_missing: int
    ambiguous: int
    orphans: int
    """Attempts whose call was not seen."""
    operations_left_out: int
    """Calls of operations beyond the bound on how many are distinguished."""
    failures_left_out: int
    """Failed calls beyond the bound on how many groups are kept."""

    def __bool__(self) -> bool:
        """Whether there is any."""
        return any(msgspec.structs.astuple(self))


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did."""

    schema: int = SCHEMA
    run: Run
    totals: Totals
    times: Times
    operations: list[OperationUse]
    """In order of their total time, the longest first."""
    failures: list[FailureGroup]
    """In order of their first occurrence."""
    patterns: list[Pattern]
    actions: list[ActionUse]
    """In order of their names."""
    uncertainty: Uncertainty
