"""The state of a daemon in one word."""

from __future__ import annotations

import pytest

from csm_otel.service.state import STATES, is_alive, is_ready, running_state


@pytest.mark.parametrize(
    ("troubles", "can_deliver", "expected"),
    [([], True, "ok"), (["a"], True, "degraded"), (["a"], False, "failing"), ([], False, "failing")],
)
def test_running(troubles: list[str], expected: str, *, can_deliver: bool) -> None:
    """Trouble degrades it, and it fails if no span gets anywhere."""
    assert running_state(troubles, can_deliver=can_deliver) == expected


def test_alive_and_ready() -> None:
    """Only a stalled daemon is not alive; one is ready that receives and delivers."""
    assert {state for state in STATES if not is_alive(state)} == {"stalled"}
    assert {state for state in STATES if is_ready(state)} == {"ok", "degraded"}
