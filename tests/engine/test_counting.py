"""Counting: the effect of each event in the pipeline on the tally, and the operator's warnings."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from arrivals import called, failed, finally_failed, tried
from datagrams import attempt, call
from mapped import released_by

from csm_otel.csm.decoding import Decoded, decode
from csm_otel.engine.counting import Counting
from csm_otel.process.speaker import Speaker
from csm_otel.tally import SocketCounters, Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from csm_otel.correlation.released import Released

CALL_OF_TWO = (
    tried("a", 0, 10, **failed()),
    tried("b", 12, 30, **failed()),
    called(0, 30, AttemptCount=2, **finally_failed()),
)
CALL_THAT_MISSES_ONE = (tried("b", 12, 30), called(0, 30, AttemptCount=2))
ORPHAN = (tried("c", 0, 10, **failed()),)


class Rig:
    """A tally, its `Counting`, and the lines logged."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.stderr = io.StringIO()
        self.counting = Counting(self.tally, Speaker(self.stderr))

    @property
    def logged(self) -> list[str]:
        """The lines for the operator."""
        return self.stderr.getvalue().splitlines()


@pytest.mark.parametrize(
    ("decoded", "expected", "logged"),
    [
        pytest.param(
            decode(call() + attempt() + attempt()),
            Tally(datagrams_received=1, datagrams_decoded=1, calls=1, attempts=2),
            [],
            id="events",
        ),
        pytest.param(
            decode(call() + b"7\n[]"),
            Tally(datagrams_received=1, datagrams_decoded=1, calls=1),
            ["csm-otel: received datagrams that are no CSM events: not_an_object"],
            id="an-event-and-other-objects",
        ),
        pytest.param(
            decode(call(Version=2)),
            Tally(datagrams_received=1, datagrams_decoded=1, calls=1, other_versions=1),
            [],
            id="another-version",
        ),
        pytest.param(
            Decoded([], ("not_json", "too_deep")),
            Tally(datagrams_received=1),
            ["csm-otel: received datagrams that are no CSM events: not_json"],
            id="malformed",
        ),
        pytest.param(
            Decoded([]),
            Tally(datagrams_received=1),
            ["csm-otel: received datagrams that are no CSM events: empty"],
            id="empty",
        ),
    ],
)
def test_datagrams(decoded: Decoded, expected: Tally, logged: list[str]) -> None:
    """A datagram with an event is decoded, any other malformed by its first reason; each reason is warned of once."""
    rig = Rig()
    for reason in decoded.rejected if decoded.events else ():
        expected.objects_rejected[reason] += 1
    if not decoded.events:
        expected.malformed[decoded.rejected[0] if decoded.rejected else "empty"] = 1

    rig.counting.count_datagram(decoded)

    assert rig.tally == expected
    assert rig.logged == logged


def test_each_kind_of_warning_comes_once() -> None:
    """However many bad datagrams arrive within a minute, there is a line for each kind."""
    rig = Rig()

    for _ in range(3):
        rig.counting.count_datagram(Decoded([], ("not_json",)))
        rig.counting.count_datagram(Decoded([], ("too_deep",)))
        rig.counting.count_not_allowed()

    assert rig.tally.malformed == {"not_json": 3, "too_deep": 3}
    assert rig.logged == [
        "csm-otel: received datagrams that are no CSM events: not_json",
        "csm-otel: received datagrams that are no CSM events: too_deep",
        "csm-otel: received datagrams from outside the networks of --allow-from",
    ]


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        pytest.param(
            Counting.count_not_allowed, Tally(datagrams_received=1, datagrams_not_allowed=1), id="not-allowed"
        ),
        pytest.param(
            lambda counting: counting.count_reported(7),
            Tally(datagrams_received=1, reports=1, calls_reported=7),
            id="reported",
        ),
        pytest.param(
            lambda one: one.count_undecoded(7), Tally(datagrams_received=7, datagrams_undecoded=7), id="undecoded"
        ),
        pytest.param(lambda one: one.count_late(7), Tally(datagrams_late=7), id="late"),
        pytest.param(Counting.count_unknown_origin, Tally(origins_unknown=1), id="unknown-origin"),
    ],
)
def test_counts(count: Callable[[Counting], None], expected: Tally) -> None:
    """Undecoded datagrams count as received, except those that arrived too late."""
    rig = Rig()

    count(rig.counting)

    assert rig.tally == expected


@pytest.mark.parametrize(
    ("released", "attempts", "missing", "orphans", "spans"),
    [
        pytest.param(released_by(*CALL_OF_TWO), 2, 0, 0, 3, id="call"),
        pytest.param(released_by(*CALL_THAT_MISSES_ONE), 1, 1, 0, 2, id="missing"),
        pytest.param(released_by(*ORPHAN), 0, 0, 1, 1, id="orphan"),
    ],
)
def test_released(released: list[Released], attempts: int, missing: int, orphans: int, spans: int) -> None:
    """Calls and orphans are counted by reason; abandoned ones are counted alike, and their spans are dropped."""
    one, other = Rig(), Rig()

    one.counting.count_released(released)
    other.counting.count_abandoned(released)

    for tally in (one.tally, other.tally):
        assert (tally.attempts_in_calls, tally.attempts_missing, tally.orphans.total()) == (attempts, missing, orphans)
        assert tally.released.total() == 1 - orphans
    assert (one.tally.spans_created, one.tally.spans_dropped) == (0, {})
    assert (other.tally.spans_created, other.tally.spans_dropped) == (spans, {"shutdown": spans})


def test_nothing_is_abandoned() -> None:
    """An empty backlog leaves no trace in the tally, not even a zero."""
    rig = Rig()

    rig.counting.count_abandoned([])

    assert rig.tally == Tally()
    assert "shutdown" not in rig.tally.spans_dropped


def test_sockets_that_drop() -> None:
    """A socket is reported as dropping only if its count has risen; without a count it never is."""
    rig = Rig()
    first, second, unknown = ("127.0.0.1", 1), ("127.0.0.1", 2), ("::1", 1)

    def record(first_drops: int, second_drops: int) -> set[tuple[str, int]]:
        return rig.counting.record_sockets(
            [
                SocketCounters(first, 10, first_drops, 4096),
                SocketCounters(second, 10, second_drops, 4096),
                SocketCounters(unknown, 10, None, 4096),
            ]
        )

    assert [record(0, 0), record(3, 0), record(3, 0), record(4, 1)] == [set(), {first}, set(), {first, second}]
    assert [one.dropped_by_kernel for one in rig.tally.sockets] == [4, 1, None]


def test_kernel_drops_are_new_when_they_differ() -> None:
    """The first count is reported, even 0; the same count again is not."""
    rig = Rig()

    assert [rig.counting.record_kernel_drops(dropped) for dropped in (0, 0, 5, 5)] == [True, False, True, False]
    assert rig.tally.datagrams_dropped_by_kernel == 5
