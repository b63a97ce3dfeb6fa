"""`Health` for a test: its thread is waited for, however busy the machine is."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from otlp_backend import DEADLINE_SECONDS

from csm_otel.service.health import Health

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


@contextmanager
def running_health(host: str = "127.0.0.1", *, clock: Callable[[], float] = time.monotonic) -> Generator[Health]:
    """Yield one on any free port, and close it once its thread has ended."""
    health = Health(host, 0, clock=clock)
    try:
        yield health
    finally:
        health.server.close(join_seconds=DEADLINE_SECONDS)
