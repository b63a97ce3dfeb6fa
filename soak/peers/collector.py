"""The OpenTelemetry Collector as one of the programs: `Collector`, fed over OTLP/HTTP or over plain UDP."""

from __future__ import annotations

import http.client
import json
import re
import signal
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from arrivals import Arrival
from mapped import mapper, released_by
from opentelemetry.sdk.trace import SpanLimits

from csm_otel.delivery.encoding import encode
from soak.daemon import free_port
from soak.peers.exposition import Exposition
from soak.peers.program import Run, ended, started
from soak.traffic import datagram

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Generator, Iterable
    from pathlib import Path

_READY = "Everything is ready."
_LOST = (
    "otelcol_exporter_send_failed_spans",
    "otelcol_exporter_send_failed_log_records",
    "otelcol_exporter_enqueue_failed_spans",  # the receiver counts these again as refused
    "otelcol_exporter_enqueue_failed_log_records",
)
_WAITING = ("otelcol_exporter_queue_size", "otelcol_exporter_in_flight_requests")
_SPANS_A_REQUEST = 20
_TICK_SECONDS = 0.01
_ANSWER_SECONDS = 10.0


class Collector:
    """A Collector that delivers over OTLP/HTTP, from a queue on disk if it has a ``folder``, else in memory.

    Args:
        binary: The program.
        folder: For its configuration, its log, and its queue.
        over_udp: Receive datagrams as log records instead of spans over OTLP/HTTP.
        on_disk: Whether the queue is persistent.
        queue_bytes: The bound of the queue.
        timeout_seconds: The timeout of an answer.
    """

    def __init__(
        self,
        binary: Path,
        folder: Path,
        *,
        over_udp: bool = False,
        on_disk: bool = True,
        queue_bytes: int = 67_108_864,
        timeout_seconds: float = 10.0,
    ) -> None:
        self.name = f"Collector, {'plain UDP' if over_udp else 'OTLP'}, {'queue on disk' if on_disk else 'in memory'}"
        self._binary = binary
        self._folder = folder
        self._over_udp = over_udp
        self._on_disk = on_disk
        self._queue_bytes = queue_bytes
        self._timeout_seconds = timeout_seconds

    @contextmanager
    def running(self, backend_port: int) -> Generator[Run]:
        """Run it until the block ends."""
        self._folder.mkdir(parents=True, exist_ok=True)
        port, metrics_port = free_port(), free_port()
        config, log = self._folder / "config.yaml", self._folder / "log"
        config.write_text(json.dumps(self._configuration(port, metrics_port, backend_port)), "utf-8")  # is YAML as well
        said_before = log.stat().st_size if log.exists() else 0

        def is_ready() -> bool:
            return _READY in log.read_text("utf-8", "replace")[said_before:]

        with started((self._binary, "--config", config), log, is_ready) as process:
            kind = _UdpRun if self._over_udp else _OtlpRun
            yield kind(process, log, ("127.0.0.1", port), metrics_port)

    def _configuration(self, port: int, metrics_port: int, backend_port: int) -> dict[str, object]:
        here = f"127.0.0.1:{port}"
        queue: dict[str, object] = {"sizer": "bytes", "queue_size": self._queue_bytes}
        if self._on_disk:
            queue["storage"] = "file_storage"
        exporter = {
            "endpoint": f"http://127.0.0.1:{backend_port}",
            "timeout": f"{self._timeout_seconds:g}s",
            "retry_on_failure": {"max_elapsed_time": 0},  # the queue has the only bound, as in csm-otel
            "sending_queue": queue,
        }
        receiver, signals = ("udp_log", "logs") if self._over_udp else ("otlp", "traces")
        receivers = {"udp_log": {"listen_address": here}, "otlp": {"protocols": {"http": {"endpoint": here}}}}
        scraped = {"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": metrics_port}}}}
        return {
            "receivers": {receiver: receivers[receiver]},
            "exporters": {"otlp_http": exporter},
            "extensions": {"file_storage": {"directory": str(self._folder / "queue"), "create_directory": True}},
            "service": {
                "extensions": ["file_storage"],
                # The whole log: by default it samples repeated lines, and with them the numbers of dropped items.
                "telemetry": {"metrics": {"readers": [scraped]}, "logs": {"sampling": {"enabled": False}}},
                "pipelines": {signals: {"receivers": [receiver], "exporters": ["otlp_http"]}},
            },
        }


def dropped_in(log: str) -> int:
    """Return how many items the lines of a log report as dropped."""
    return sum(map(int, re.findall(r'"dropped_items": ?(\d+)', log)))


def otlp_requests(count: int) -> Iterable[tuple[int, bytes]]:
    """Yield requests with csm-otel's spans of its datagrams, each with the number of spans so far."""
    mapping, limits = mapper(), SpanLimits()
    for first in range(0, count, _SPANS_A_REQUEST):
        numbers = range(first, min(count, first + _SPANS_A_REQUEST))
        released = released_by(*(Arrival(datagram(number), at=number) for number in numbers))
        yield numbers.stop, encode([span for one in released for span in mapping.map(one)], limits=limits)


class _UdpRun(Run):
    def __init__(
        self, process: subprocess.Popen[bytes], log: Path, address: tuple[str, int], metrics_port: int
    ) -> None:
        self._process = process
        self._log = log
        self.address = address
        self._metrics_port = metrics_port
        self.waiting = lambda: Exposition.scrape(metrics_port).total(*_WAITING)

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if number == signal.SIGKILL:
            ended(self._process, number)
            return
        counted = Exposition.scrape(self._metrics_port).total(*_LOST)
        log_bytes = self._log.stat().st_size
        ended(self._process, number)
        # Its counters end with it: what it gives up at shutdown is in its log alone.
        self.reported = counted + dropped_in(self._log.read_bytes()[log_bytes:].decode("utf-8", "replace"))


class _OtlpRun(_UdpRun):
    def send(self, count: int, *, per_second: float, size: int = 0) -> int:
        """Send spans, without retrying a failed request."""
        del size
        began = time.monotonic()
        sent = 0
        with closing(http.client.HTTPConnection(*self.address, timeout=_ANSWER_SECONDS)) as connection:
            for so_far, request in otlp_requests(count):
                while time.monotonic() < began + sent / per_second:
                    time.sleep(_TICK_SECONDS)
                connection.request("POST", "/v1/traces", request, {"Content-Type": "application/x-protobuf"})
                connection.getresponse().read()
                sent = so_far
        return sent

    def wait_until_read(self) -> None:
        """Do nothing: answered requests have been read."""
