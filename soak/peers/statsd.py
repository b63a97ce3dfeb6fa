"""statsd_exporter as one of the programs: `StatsdExporter`. It exports nothing by itself; it is scraped."""

from __future__ import annotations

import signal
import urllib.error
from contextlib import contextmanager
from typing import TYPE_CHECKING

from soak.daemon import free_port
from soak.peers.exposition import Exposition
from soak.peers.program import Run, ended, started
from soak.traffic import send

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Generator
    from pathlib import Path

_COUNTER = "sent_to_statsd"
_LOST = (
    "statsd_exporter_udp_packet_drops_total",
    "statsd_exporter_sample_errors_total",
    "statsd_exporter_tag_errors_total",
    "statsd_exporter_events_error_total",
)


class StatsdExporter:
    """A statsd_exporter, with its default receive buffer or another."""

    def __init__(self, binary: Path, folder: Path, *, buffer_bytes: int | None = None) -> None:
        """Write its log to a folder."""
        self.name = "statsd_exporter"
        self._binary = binary
        self._folder = folder
        self._flags = () if buffer_bytes is None else (f"--statsd.read-buffer={buffer_bytes}",)

    @contextmanager
    def running(self, backend_port: int) -> Generator[Run]:
        """Run it until the block ends; it uses no back end."""
        del backend_port
        self._folder.mkdir(parents=True, exist_ok=True)
        port, metrics_port = free_port(), free_port()
        listens = (f"--statsd.listen-udp=127.0.0.1:{port}", "--statsd.listen-tcp=")
        command = (self._binary, *listens, f"--web.listen-address=127.0.0.1:{metrics_port}", *self._flags)
        with started(command, self._folder / "log", lambda: _answers(metrics_port)) as process:
            yield _StatsdRun(process, ("127.0.0.1", port), metrics_port)


class _StatsdRun(Run):
    def __init__(self, process: subprocess.Popen[bytes], address: tuple[str, int], metrics_port: int) -> None:
        self._process = process
        self.address = address
        self._metrics_port = metrics_port
        self.scraped = lambda: Exposition.scrape(metrics_port).total(_COUNTER)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, count: int, *, per_second: float, size: int = 0) -> int:
        """Send lines of statsd, one per datagram."""
        line = f"{_COUNTER}:1|c|#padding:".encode()
        line += b"x" * (size - len(line))
        return send(self.address, count, per_second=per_second, payload_of=lambda _: line)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if number != signal.SIGKILL:
            self.reported = Exposition.scrape(self._metrics_port).total(*_LOST)
        ended(self._process, number)


def _answers(port: int) -> bool:
    try:
        Exposition.scrape(port)
    except (urllib.error.URLError, ConnectionError):
        return False
    return True
