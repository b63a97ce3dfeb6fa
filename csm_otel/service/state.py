"""The state of a daemon in one word, as its probes see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

STATES = ("ok", "degraded", "failing", "starting", "stopping", "stalled")


def running_state(troubles: Sequence[str], *, can_deliver: bool) -> str:
    """Return the state of a daemon whose loop runs."""
    if not can_deliver:
        return "failing"
    return "degraded" if troubles else "ok"


def is_alive(state: str) -> bool:
    """Return whether the loop runs: if it does not, only a restart helps."""
    return state != "stalled"


def is_ready(state: str) -> bool:
    """Return whether it receives, and a destination accepts spans, or the queue to one does."""
    return state in ("ok", "degraded")
