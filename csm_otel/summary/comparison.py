"""Two summaries to what differs between the runs: `compare`. docs/summary.md describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from csm_otel.summary.model import Effect, FailureGroup, OperationUse, Run, Times, Totals

if TYPE_CHECKING:
    from csm_otel.summary.model import Summary

_MANY_CALLS = 10  # from which on percentiles say something
_RATIO_OF_MANY = 1.25  # medians of equal runs against the same back end differ by less, mostly
_LEAST_MS_OF_MANY = 10  # times are in whole milliseconds: below it, one of them is a tenth
_RATIO_OF_FEW = 2.0  # a single call may well take half as long again
_LEAST_MS_OF_FEW = 1_000
_PLACES = {
    "applications": "application",
    "sdks": "SDK",
    "accounts": "account",
    "regions": "region",
    "other_endpoints": "endpoint",
}


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """An operation that both runs use."""

    before: OperationUse
    after: OperationUse

    @property
    def name(self) -> str:
        """The operation as spans have it."""
        return self.after.name


class FailureChange(msgspec.Struct, frozen=True, kw_only=True):
    """An error of an operation that both runs have."""

    before: FailureGroup
    after: FailureGroup


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A region, account, endpoint, SDK or application."""

    kind: str
    name: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between two runs. Lists are in order of their names."""

    run_before: Run
    run_after: Run
    totals_before: Totals
    totals_after: Totals
    times_before: Times
    times_after: Times
    failures_came: list[FailureGroup]
    """Errors of operations that only the later run has."""
    failures_went: list[FailureGroup]
    failures_changed: list[FailureChange]
    """Errors of another count, or that mean something else for the run."""
    operations_came: list[OperationUse]
    operations_went: list[OperationUse]
    slower: list[Change]
    faster: list[Change]
    counts: list[Change]
    """Operations with another number of calls."""
    places_came: list[Place]
    places_went: list[Place]
    is_complete: bool
    """Whether all operations and errors were distinguished; else some that came or went may be in both runs."""

    def __bool__(self) -> bool:
        """Whether anything but the sums and the exit codes differs."""
        lists = (value for value in msgspec.structs.astuple(self) if isinstance(value, list))
        return any(lists)


def compare(before: Summary, after: Summary) -> Comparison:
    """Return what differs.

    An operation is slower, or faster, if its median or its 95th percentile is by a quarter and 10 ms; with fewer than
    10 calls in one of the runs, by a factor of two and a second.
    """
    old, new = _by_operation(before), _by_operation(after)
    both = [Change(before=old[key], after=new[key]) for key in sorted(old.keys() & new.keys())]
    old_failures, new_failures = _by_error(before), _by_error(after)
    old_places, new_places = _places(before), _places(after)
    return Comparison(
        run_before=before.run,
        run_after=after.run,
        totals_before=before.totals,
        totals_after=after.totals,
        times_before=before.times,
        times_after=after.times,
        failures_came=[new_failures[key] for key in sorted(new_failures.keys() - old_failures.keys())],
        failures_went=[old_failures[key] for key in sorted(old_failures.keys() - new_failures.keys())],
        failures_changed=[
            FailureChange(before=old_failures[key], after=new_failures[key])
            for key in sorted(old_failures.keys() & new_failures.keys())
            if _has_changed(old_failures[key], new_failures[key])
        ],
        operations_came=[new[key] for key in sorted(new.keys() - old.keys())],
        operations_went=[old[key] for key in sorted(old.keys() - new.keys())],
        slower=[one for one in both if _is_slower(one.before, one.after)],
        faster=[one for one in both if _is_slower(one.after, one.before)],
        counts=[one for one in both if one.before.calls != one.after.calls],
        places_came=[Place(kind=kind, name=name) for kind, name in sorted(new_places - old_places)],
        places_went=[Place(kind=kind, name=name) for kind, name in sorted(old_places - new_places)],
        is_complete=not any(map(_has_left_out, (before, after))),
    )


def _by_operation(summary: Summary) -> dict[tuple[str, str], OperationUse]:
    return {(use.service, use.api): use for use in summary.operations}


def _by_error(summary: Summary) -> dict[tuple[str, str, str], FailureGroup]:
    return {(group.service, group.api, group.error): group for group in summary.failures}


def _places(summary: Summary) -> set[tuple[str, str]]:
    return {(kind, name) for key, kind in _PLACES.items() for name in getattr(summary.run, key)}


def _has_changed(before: FailureGroup, after: FailureGroup) -> bool:
    effects = {before.effect, after.effect}
    return before.count != after.count or (len(effects) > 1 and Effect.UNKNOWN not in effects)


def _has_left_out(summary: Summary) -> bool:
    return bool(summary.uncertainty.operations_left_out or summary.uncertainty.failures_left_out)


def _is_slower(before: OperationUse, after: OperationUse) -> bool:
    is_many = min(before.calls, after.calls) >= _MANY_CALLS
    ratio, least_ms = (_RATIO_OF_MANY, _LEAST_MS_OF_MANY) if is_many else (_RATIO_OF_FEW, _LEAST_MS_OF_FEW)
    return any(
        new_ms >= old_ms * ratio and new_ms - old_ms >= least_ms
        for old_ms, new_ms in ((before.p50_ms, after.p50_ms), (before.p95_ms, after.p95_ms))
    )
