"""csm-otel as one of the programs: `CsmOtel`."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from e2e.programs import environment, serving

from soak.daemon import PrintedTally
from soak.peers.outcome import OURS
from soak.peers.program import Run

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from e2e.programs import Serving


class CsmOtel:
    """``csm-otel serve``; its settings are part of the name."""

    def __init__(self, about: str = "", *flags: str | Path, **variables: str) -> None:
        """Accept flags and variables as on a command line."""
        self.name = f"{OURS}, {about}" if about else OURS
        self._flags = flags
        self._variables = variables

    @contextmanager
    def running(self, backend_port: int) -> Generator[Run]:
        """Run it until the block ends."""
        env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{backend_port}", **self._variables)
        with serving(*self._flags, env=env) as daemon:
            yield _CsmOtelRun(daemon)


class _CsmOtelRun(Run):
    def __init__(self, daemon: Serving) -> None:
        self._daemon = daemon
        self.address = daemon.address

    @property
    def pid(self) -> int:
        return self._daemon.process.pid

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        self._daemon.stop(number)
        if number != signal.SIGKILL:
            tally = PrintedTally.read(self._daemon.rest)
            self.reported = tally.dropped + tally.rejected + (tally.dropped_by_kernel or 0)
