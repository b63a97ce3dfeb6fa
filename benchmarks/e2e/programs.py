"""The compared programs as processes: `CsmOtel`, `Plain`, `Limit`, and the sink that they deliver to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from benchmarks.e2e.sink import Arrived
from e2e.programs import environment, serving
from soak.daemon import PrintedTally

if TYPE_CHECKING:
    from collections.abc import Generator

BUFFER_BYTES = 4 * 1024 * 1024
"""The receive buffer that all ask for by default; csm-otel's default."""
BATCH_SPANS = 512
"""The most spans in one request; the default of all."""
SCHEDULE_DELAY_SECONDS = 0.5
"""How long a batch waits for more, for all: a run must not last much longer than its sending."""
_END_SECONDS = 60.0
_ROOT = Path(__file__).parents[2]
_PATH = os.pathsep.join(map(str, (_ROOT, _ROOT / "tests", _ROOT / "examples")))
_OTLP = {"http": "http/protobuf", "grpc": "grpc"}
_NO_DEADLINE_SECONDS = "30"


class Lines:
    """A process that talks in lines of JSON."""

    def __init__(self, module: str, *arguments: object, env: dict[str, str] | None = None) -> None:
        """Start a module of this package with arguments."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            env={**(os.environ if env is None else env), "PYTHONPATH": _PATH},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def read(self) -> Any:
        """Return its next line.

        Raises:
            RuntimeError: it has ended.
        """
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args!r} ended")
        return json.loads(line)

    def write(self, line: str = "") -> None:
        """Send it a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def close(self) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=_END_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Sink(Lines):
    """The back end."""

    def __init__(self, protocol: str) -> None:
        """Start it; ``protocol`` is http or grpc."""
        super().__init__("benchmarks.e2e.sink", protocol)
        self.endpoint = f"http://127.0.0.1:{self.read()['port']}"

    def arrived(self) -> Arrived:
        """Return what has arrived since the start."""
        self.write()
        return Arrived(**self.read())


class Daemon(ABC):
    """A running program."""

    pid: int
    address: tuple[str, int]
    reported: int | None = None
    """What it lost by its own counts, once it is stopped; None if it has no count."""

    @abstractmethod
    def stop(self) -> int:
        """Stop it, wait for its last delivery, and return how many datagrams it received."""


class Program(ABC):
    """A program that receives datagrams; its name is that of a row."""

    delivers = True
    """Whether each datagram becomes a span that arrives at the sink."""

    def __init__(self, protocol: str, *, buffer_bytes: int = BUFFER_BYTES, batch_spans: int = BATCH_SPANS) -> None:
        """Deliver by ``protocol``, http or grpc, at most so many spans at once."""
        self.protocol = protocol
        self.buffer_bytes = buffer_bytes
        self.batch_spans = batch_spans

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name in a table."""

    @abstractmethod
    def running(self, endpoint: str) -> Any:
        """Run it, delivering to an endpoint, until the block ends."""

    def variables(self, endpoint: str) -> dict[str, str]:
        """Return its environment."""
        return environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL=_OTLP[self.protocol],
            OTEL_BSP_MAX_EXPORT_BATCH_SIZE=str(self.batch_spans),
            OTEL_BSP_SCHEDULE_DELAY=f"{SCHEDULE_DELAY_SECONDS * 1000:.0f}",
        )


class CsmOtel(Program):
    """``csm-otel serve``."""

    @property
    def name(self) -> str:
        """Its name in a table."""
        return f"csm-otel, {self.protocol}"

    @contextmanager
    def running(self, endpoint: str) -> Generator[Daemon]:
        """Run it until the block ends."""
        flags = ("--receive-buffer-bytes", str(self.buffer_bytes), "--drain-seconds", _NO_DEADLINE_SECONDS)
        with serving(*flags, env=self.variables(endpoint)) as daemon:
            yield _Served(daemon)


class SteppedCsmOtel(CsmOtel):
    """The same over HTTP, with its steps timed."""

    def __init__(self, file: Path) -> None:
        """Write the times to a file, see `benchmarks.e2e.stepped`."""
        super().__init__("http")
        self._file = file

    @contextmanager
    def running(self, endpoint: str) -> Generator[Daemon]:
        """Run it until the block ends."""
        env = {**self.variables(endpoint), "PYTHONPATH": _PATH}
        command = (sys.executable, "-m", "benchmarks.e2e.stepped", self._file)
        with serving("--drain-seconds", _NO_DEADLINE_SECONDS, env=env, command=command) as daemon:
            yield _Served(daemon)


class _Served(Daemon):
    def __init__(self, serving: Any) -> None:
        self._serving = serving
        self.pid = serving.process.pid
        self.address = serving.address

    def stop(self) -> int:
        self._serving.stop(signal.SIGTERM)
        tally = PrintedTally.read(self._serving.rest)
        self.reported = (tally.dropped_by_kernel or 0) + tally.undecoded + tally.dropped + tally.rejected
        return tally.received


class Plain(Program):
    """The plain bridge."""

    @property
    def name(self) -> str:
        """Its name in a table."""
        return f"plain, {self.protocol}"

    @contextmanager
    def running(self, endpoint: str) -> Generator[Daemon]:
        """Run it until the block ends."""
        command = ("benchmarks.e2e.plain", self.protocol, endpoint, self.buffer_bytes)
        with Lines(*command, env=self.variables(endpoint)) as process:
            yield _Started(process)


class Limit(Program):
    """Receiving and decoding alone."""

    delivers = False

    @property
    def name(self) -> str:
        """Its name in a table."""
        return "limit: receive, decode"

    @contextmanager
    def running(self, endpoint: str) -> Generator[Daemon]:
        """Run it until the block ends."""
        with Lines("benchmarks.e2e.limit", self.buffer_bytes, env=self.variables(endpoint)) as process:
            yield _Started(process)


class _Started(Daemon):
    def __init__(self, process: Lines) -> None:
        self._process = process
        self.pid = process.process.pid
        self.address = ("127.0.0.1", int(process.read()["port"]))

    def stop(self) -> int:
        self._process.process.send_signal(signal.SIGTERM)
        received = int(self._process.read()["received"])
        self._process.process.wait(_END_SECONDS)
        return received
