"""The compared programs: `Program`, and `Run`, one process of it."""

from __future__ import annotations

import signal
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from lossless import wait_until_read

from soak.traffic import send

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

END_SECONDS = 60.0
_START_SECONDS = 30.0


class Run(ABC):
    """A running process, and later its report."""

    address: tuple[str, int]
    """Its address."""
    reported: int | None = None
    """The loss that it had reported by its end; None until then, and if it was killed."""

    scraped: Callable[[], int] | None = None
    """Returns the names that have come out of a program that delivers nothing by itself."""
    waiting: Callable[[], int] | None = None
    """Returns the number not delivered yet, by its own counts, of a program that does not deliver it at shutdown."""

    @property
    @abstractmethod
    def pid(self) -> int:
        """The process."""

    @abstractmethod
    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it by a signal, and keep its report."""

    def send(self, count: int, *, per_second: float, size: int = 0) -> int:
        """Send to it at a steady rate, and return how many."""
        return send(self.address, count, per_second=per_second, size=size)

    def wait_until_read(self) -> None:
        """Wait until it has read everything sent."""
        wait_until_read(self.address[1])


class Program(Protocol):
    """A program with its settings."""

    name: str
    """Its name in the table."""

    def running(self, backend_port: int) -> AbstractContextManager[Run]:
        """Run it, delivering to a port of 127.0.0.1, until the block ends."""
        ...


@contextmanager
def started(
    command: Sequence[str | Path], log: Path, is_ready: Callable[[], bool]
) -> Generator[subprocess.Popen[bytes]]:
    """Run a command that appends its output to a file, from when it is ready until the block ends.

    Raises:
        RuntimeError: it ends at once, or is never ready; with the end of its output.
    """
    with log.open("ab") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + _START_SECONDS
        while not is_ready():
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{command[0]} does not run: {log.read_text('utf-8', 'replace')[-2000:]}")
            time.sleep(0.02)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(END_SECONDS)


def ended(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """End a process by a signal."""
    process.send_signal(number)
    process.wait(END_SECONDS)
