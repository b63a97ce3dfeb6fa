"""The score of a truth recording's calls: releases compared with the truth."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.correlation.released import OrphanAttempt
from csm_otel.csm.times import NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.packed import Recorded
    from conformance.recordings import Played

    from csm_otel.correlation.released import Observed
    from csm_otel.csm.events import ApiCallAttempt

_MATERIAL_NS = 5 * NS_PER_MS  # below this a wrong child draws the same picture


class Score(NamedTuple):
    """The results of a recording's calls, by the indexes of their datagrams."""

    calls: int
    wrong: set[int]
    """Calls whose set of attempts is not the true one."""
    miscounted: set[int]
    """Wrong calls with too few or too many attempts."""
    material: set[int]
    """Wrong calls with a child off by more than 5 ms, or with another status, or miscounted."""
    doubted: set[int]
    """Calls that are marked ambiguous."""
    orphans: set[int]

    @property
    def right(self) -> int:
        """The number of calls with exactly their attempts."""
        return self.calls - len(self.wrong)

    def percent(self, calls: set[int] | int) -> float:
        """Return a share of all calls."""
        return 100 * (calls if isinstance(calls, int) else len(calls)) / self.calls

    @property
    def percent_right(self) -> float:
        """The share of calls with exactly their attempts."""
        return self.percent(self.right)


def score(recorded: list[Recorded], played: Played) -> Score:
    """Compare releases with the truth; byte-identical calls are interchangeable."""
    index_of = played.index_of()
    true: defaultdict[str, dict[int, Observed[ApiCallAttempt]]] = defaultdict(dict)
    found: dict[int, dict[int, Observed[ApiCallAttempt]]] = {}
    doubted: set[int] = set()
    orphans: set[int] = set()
    for released in played.released:
        attempts = (released.attempt,) if isinstance(released, OrphanAttempt) else released.attempts
        by_index = {index_of[id(attempt.event)]: attempt for attempt in attempts}
        for index, attempt in by_index.items():
            true[recorded[index].label][index] = attempt
        if isinstance(released, OrphanAttempt):
            orphans |= by_index.keys()
            continue
        call = index_of[id(released.call.event)]
        found[call] = by_index
        if released.ambiguous:
            doubted.add(call)
    wrong = _wrong(recorded, found, true)
    miscounted = {call for call in wrong if len(found[call]) != len(true[recorded[call].label])}
    material = {
        call for call in wrong - miscounted if _is_material(found[call].values(), true[recorded[call].label].values())
    }
    return Score(len(found), wrong, miscounted, material | miscounted, doubted, orphans)


def _wrong(
    recorded: list[Recorded],
    found: dict[int, dict[int, Observed[ApiCallAttempt]]],
    true: dict[str, dict[int, Observed[ApiCallAttempt]]],
) -> set[int]:
    wanted = Counter((recorded[call].payload, frozenset(true[recorded[call].label])) for call in found)
    wrong = set()
    for call, attempts in found.items():
        result = recorded[call].payload, frozenset(attempts)
        if wanted[result] == 0:
            wrong.add(call)
        wanted[result] -= 1
    return wrong


def _is_material(found: Iterable[Observed[ApiCallAttempt]], true: Iterable[Observed[ApiCallAttempt]]) -> bool:
    return any(
        one.event.status != other.event.status
        or abs(one.start_ns - other.start_ns) > _MATERIAL_NS
        or abs(one.end_ns - other.end_ns) > _MATERIAL_NS
        for one, other in zip(_in_order(found), _in_order(true), strict=True)
    )


def _in_order(attempts: Iterable[Observed[ApiCallAttempt]]) -> list[Observed[ApiCallAttempt]]:
    return sorted(attempts, key=lambda attempt: (attempt.start_ns, attempt.end_ns))
