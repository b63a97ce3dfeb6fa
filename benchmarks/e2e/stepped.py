"""``csm-otel serve``, with its steps timed: ``python -m benchmarks.e2e.stepped FILE serve ...``.

At the end the file has a JSON object with the processor time of each step, in seconds, without that of the steps within
it. The clock is a system call, so that each call of a step costs some 0.3 us in the step around it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csm_otel.commands import wiring
from csm_otel.commands.cli import main
from csm_otel.correlation.correlator import Correlator
from csm_otel.engine import agent
from csm_otel.engine.agent import Agent
from csm_otel.intake.receiver import Receiver
from csm_otel.spans.mapper import SpanMapper

if TYPE_CHECKING:
    from collections.abc import Callable

LOOP, OTHER_THREADS = "the rest of the loop", "the threads for delivery and origins"


class Steps:
    """The processor time of the steps of one thread."""

    def __init__(self) -> None:
        """Start with nothing measured."""
        self.seconds: dict[str, float] = {}
        self._within: list[str] = []
        self._since = 0.0

    def timed(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function, all calls of which are a step."""

        def measured(*args: Any, **kwargs: Any) -> Any:
            self._enter(step)
            try:
                return function(*args, **kwargs)
            finally:
                self._leave()

        return measured

    def _enter(self, step: str) -> None:
        self._add()
        self._within.append(step)

    def _leave(self) -> None:
        self._add()
        self._within.pop()

    def _add(self) -> None:
        now = time.thread_time()
        if self._within:
            step = self._within[-1]
            self.seconds[step] = self.seconds.get(step, 0.0) + now - self._since
        self._since = now


def serve(file: Path) -> None:
    """Run the command line with its steps timed, and write their times."""
    steps = Steps()
    run = steps.timed(LOOP, Agent.run)

    def run_and_write(*args: Any, **kwargs: Any) -> None:
        began = time.process_time()
        run(*args, **kwargs)
        whole = time.process_time() - began
        file.write_text(json.dumps({**steps.seconds, OTHER_THREADS: whole - sum(steps.seconds.values())}), "utf-8")

    Agent.run = run_and_write  # type: ignore[method-assign]
    for owner, name, step in (
        (Receiver, "receive", "receive"),
        (agent, "decode", "decode"),
        (Correlator, "receive", "correlate"),
        (Correlator, "expire", "correlate"),
        (SpanMapper, "map", "map"),
        (wiring, "encode", "encode"),
    ):
        setattr(owner, name, steps.timed(step, getattr(owner, name)))
    main(sys.argv[2:])


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
