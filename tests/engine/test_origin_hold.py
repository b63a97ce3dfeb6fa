"""The hold: calls leave in order, with their origin or after a short time, and a bounded number waits."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from arrivals import called, tried
from mapped import released_by

from csm_otel.correlation.released import CorrelatedCall, Released
from csm_otel.csm.events import Origin, Peer, ProcessEnd
from csm_otel.engine.origin_hold import HOLD_SECONDS, OriginHold

ONE, TWO = 40_001, 40_002
FOUND = Origin(pid=7, start_ticks=1, start_ns=0, name="seven.py")
EIGHT = Origin(pid=8, start_ticks=1, start_ns=0, name="eight.py")


class Known(NamedTuple):
    """The origins of ports, and the ports that are being looked up."""

    found: dict[int, Origin]
    sought: set[int]

    def origin_of(self, peer: Peer) -> Origin | None:
        """Return the port's origin."""
        return self.found.get(peer.port)

    def is_resolving(self, peer: Peer) -> bool:
        """Return whether it is being looked up."""
        return peer.port in self.sought


def call_from(port: int, attempt_port: int | None = None) -> Released:
    """Return a call of one attempt, which may have come from another port."""
    (released,) = released_by(tried("", 2, 27, port=port), called(0, 30, port=port))
    assert isinstance(released, CorrelatedCall)
    (attempt,) = released.attempts
    moved = Peer("127.0.0.1", attempt_port or port)
    return CorrelatedCall(
        call=released.call,
        attempts=(
            type(attempt)(**{name: getattr(attempt, name) for name in attempt.__struct_fields__} | {"peer": moved}),
        ),
        missing=0,
        ambiguous=False,
        reason=released.reason,
    )


def ready(hold: OriginHold, now: float) -> list[tuple[int, Origin | None]]:
    """Return the ports and origins of the released calls."""
    return [
        (one.call.peer.port if isinstance(one, CorrelatedCall) else 0, origin)
        for one, origin in hold.pop_ready(now=now)
    ]


def test_without_origins() -> None:
    """Without origins nothing waits."""
    hold = OriginHold(None)
    hold.add([call_from(ONE)], now=0.0)

    assert [(ONE, None)] == ready(hold, 0.0)
    assert hold.next_deadline() is None


def test_known_origins() -> None:
    """Neither a call with a known origin nor one whose origin cannot be known waits."""
    hold = OriginHold(Known({ONE: FOUND}, set()))
    hold.add([call_from(ONE)], now=0.0)
    hold.add([call_from(TWO)], now=0.0)

    assert [(ONE, FOUND), (TWO, None)] == ready(hold, 0.0)


def test_order_is_kept() -> None:
    """A call does not overtake another that waits, and both are released when the origin is known."""
    known = Known({TWO: EIGHT}, {ONE})
    hold = OriginHold(known)
    hold.add([call_from(ONE)], now=0.0)
    hold.add([call_from(TWO)], now=0.1)
    assert ready(hold, 0.1) == []
    assert hold.next_deadline() == HOLD_SECONDS

    known.found[ONE] = FOUND

    assert [(ONE, FOUND), (TWO, EIGHT)] == ready(hold, 0.2)


def test_the_deadline() -> None:
    """A call that has waited long enough is released without an origin, and does not delay others."""
    hold = OriginHold(Known({}, {ONE, TWO}))
    hold.add([call_from(ONE)], now=0.0)
    hold.add([call_from(TWO)], now=0.1)

    assert [(ONE, None)] == ready(hold, HOLD_SECONDS)
    assert [(TWO, None)] == ready(hold, 0.1 + HOLD_SECONDS)


def test_the_end_of_a_process() -> None:
    """The end of a process does not overtake calls, and does not wait itself."""
    end = ProcessEnd(FOUND, noticed_ns=0, is_exact=True)
    known = Known({}, {ONE})
    hold = OriginHold(known)
    hold.add([call_from(ONE)], now=0.0)
    hold.add([end], now=0.0)
    hold.add([call_from(ONE)], now=0.0)
    assert list(hold.pop_ready(now=0.0)) == []

    known.found[ONE] = FOUND

    before, itself, after = hold.pop_ready(now=0.0)
    assert itself == (end, None)
    assert before[1] == after[1] == FOUND


def test_the_bound() -> None:
    """Beyond the bound the oldest is released early."""
    hold = OriginHold(Known({}, {ONE, TWO}), max_held=1)
    hold.add([call_from(ONE)], now=0.0)
    assert ready(hold, 0.0) == []
    hold.add([call_from(TWO)], now=0.0)

    assert [(ONE, None)] == ready(hold, 0.0)


@pytest.mark.parametrize(
    ("found", "sought", "now", "expected"),
    [
        pytest.param({ONE: FOUND}, {TWO}, 0.0, [(ONE, FOUND)], id="its-own"),
        pytest.param({TWO: EIGHT}, set(), 0.0, [(ONE, EIGHT)], id="its-attempts"),
        pytest.param({TWO: EIGHT}, {ONE}, 0.0, [], id="its-own-is-waited-for"),
        pytest.param({TWO: EIGHT}, {ONE}, HOLD_SECONDS, [(ONE, EIGHT)], id="but-not-for-long"),
        pytest.param({ONE: FOUND, TWO: EIGHT}, set(), 0.0, [(ONE, FOUND)], id="its-own-first"),
    ],
)
def test_a_port_that_changes_in_the_middle(
    found: dict[int, Origin], sought: set[int], now: float, expected: list[tuple[int, Origin]]
) -> None:
    """A call whose attempt came from another port has its own peer's origin, else its attempt's."""
    hold = OriginHold(Known(found, sought))
    hold.add([call_from(ONE, TWO)], now=0.0)

    assert expected == ready(hold, now)


def test_expire_all() -> None:
    """Once expired, everything is released at once, in order, with the origins known by then."""
    hold = OriginHold(Known({TWO: EIGHT}, {ONE}))
    hold.add([call_from(ONE)], now=1.0)
    hold.add([call_from(TWO)], now=1.0)
    assert ready(hold, now=1.0) == []
    hold.expire_all()
    assert ready(hold, now=1.0) == [(ONE, None), (TWO, EIGHT)]
    assert hold.next_deadline() is None
