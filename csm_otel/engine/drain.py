"""Emptying a pipeline, a step at a time: `Drain`. Time is an argument.

First everything pending in the correlator is released, a part with each step; then the released calls are held until
their origins are known, or no longer waited for. The caller of `Drain` sends the last batch.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from csm_otel.engine.origin_hold import HOLD_SECONDS
from csm_otel.engine.pipeline import RELEASES_PER_STEP

if TYPE_CHECKING:
    from csm_otel.engine.pipeline import Pipeline


class Drain:
    """Starts when created; later events are not part of it."""

    def __init__(
        self, pipeline: Pipeline, *, deadline: float = math.inf, releases_per_step: int = RELEASES_PER_STEP
    ) -> None:
        """Flush the correlator. What has not been released at ``deadline``, in monotonic seconds, is dropped."""
        self._pipeline = pipeline
        self._deadline = deadline
        self._releases_per_step = releases_per_step
        self._origins_deadline: float | None = None
        """When the origins of what was released have been waited for; None while there is more to release."""
        pipeline.start_release()

    def advance(self, *, now: float) -> bool:
        """Advance the pipeline by a step, and return whether everything has been exported."""
        if now >= self._deadline:
            self._pipeline.abandon_backlog()
            self._pipeline.stop_waiting_for_origins()
        self._pipeline.advance(now=now, releases=self._releases_per_step)
        return self.is_done(now=now)

    def is_done(self, *, now: float) -> bool:
        """Return whether nothing is left to release and no origin to wait for; for a pipeline that others advance."""
        if self._pipeline.is_releasing:
            return False
        if self._origins_deadline is None:
            self._origins_deadline = now + HOLD_SECONDS
        return self._pipeline.origin_deadline() is None or now >= self._origins_deadline

    def cancel(self) -> None:
        """Make the next step the last, as if the deadline had passed."""
        self._deadline = -math.inf

    def next_deadline(self) -> float:
        """Return the monotonic second at which the next step is due."""
        if self._pipeline.is_releasing:
            return -math.inf
        return min(self._deadline, self._pipeline.origin_deadline() or self._deadline)
