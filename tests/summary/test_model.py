"""The summary as JSON: its keys are stable, and it is read as it was written."""

from __future__ import annotations

import msgspec
from traced import attempt_of, command, traced

from csm_otel.summary.builder import SummaryBuilder
from csm_otel.summary.model import SCHEMA, Summary, Uncertainty

KEYS = {
    "": ["schema", "run", "totals", "times", "operations", "failures", "patterns", "actions", "uncertainty"],
    "run": [
        *("name", "exit_code", "trace_id", "traces", "start_ns", "applications", "sdks", "accounts", "regions"),
        "other_endpoints",
    ],
    "totals": [
        *("calls", "failed", "retried", "throttled", "not_sent", "reads", "changes", "identity_calls", "attempts"),
    ],
    "times": ["wall_ms", "in_calls_ms", "in_back_off_ms", "before_first_call_ms", "most_at_once"],
    "operations": [
        *("service", "api", "access", "calls", "failed", "retried", "throttled", "not_sent"),
        *("p50_ms", "p95_ms", "max_ms", "total_ms"),
    ],
    "failures": [
        *("service", "api", "error", "status", "count", "first_ns", "last_ns", "effect", "message", "advice"),
    ],
    "patterns": ["kind", "operation", "count", "threshold", "text"],
    "actions": ["service", "api", "actions", "denied"],
    "uncertainty": ["attempts_missing", "ambiguous", "orphans", "operations_left_out", "failures_left_out"],
}
"""The keys of the schema, in order. Who removes one, or changes what it means, raises `SCHEMA`."""


def summary() -> Summary:
    """Return a summary with something in every list."""
    builder = SummaryBuilder()
    for number in range(20):
        call = traced("S3.GetObject", 10 * number, 10 * number + 5, status=403, error="AccessDenied")
        builder.add([call, attempt_of(call, 10 * number, 10 * number + 5, status=403, error="AccessDenied")])
    builder.add([command(code=1)])
    return builder.build()


def test_keys() -> None:
    """The keys are those of schema 1."""
    decoded = msgspec.json.decode(msgspec.json.encode(summary()))
    assert SCHEMA == decoded["schema"] == 1
    assert list(decoded) == KEYS[""]
    for name, keys in KEYS.items():
        if name:
            part = decoded[name]
            assert list(part[0] if isinstance(part, list) else part) == keys


def test_round_trip() -> None:
    """A summary is read as it was written."""
    assert msgspec.json.decode(msgspec.json.encode(summary()), type=Summary) == summary()


def test_names() -> None:
    """Operations and failures are named as their spans are."""
    found = summary()
    assert (found.operations[0].name, found.failures[0].name) == ("S3.GetObject", "S3.GetObject")


def test_uncertainty() -> None:
    """Whether there is any: one count is enough."""
    none = Uncertainty(attempts_missing=0, ambiguous=0, orphans=0, operations_left_out=0, failures_left_out=0)
    assert not none
    assert msgspec.structs.replace(none, orphans=1)
