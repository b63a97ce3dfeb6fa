"""External observations of a running `csm-otel`: its printed tally, its memory, its files."""

from __future__ import annotations

import re
import shutil
import socket
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Self

from e2e.programs import has_traceback
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

MB = 1_000_000
_KIB = 1024
_COUNT = r"([\d,]+) "
_SPOOL_DEADLINE_SECONDS = 20.0


class PrintedTally(NamedTuple):
    """The counts of the tally that a process printed at shutdown."""

    received: int
    dropped_by_kernel: int | None
    calls: int
    attempts: int
    """Those of calls and orphans."""
    delivered: int
    dropped: int
    rejected: int
    repeated: int
    spooled: int
    undecoded: int
    """Datagrams received that are no spans, as no time was left to decode them."""
    waiting: int
    """Spans that are neither delivered nor dropped nor kept: 0, or some were lost uncounted."""

    @classmethod
    def read(cls, output: bytes) -> Self:
        """Parse the tally at the end of a daemon's output."""
        text = output.decode()
        # The periodic line before it has the same counts, but not the duration of the run.
        found = list(re.finditer(_COUNT + "datagrams? received in ", text))
        assert found, f"no tally in {text!r}"
        text = text[found[-1].start() :]

        def count(words: str, before: str = "") -> int:
            found = re.search(before + _COUNT + words, text)
            return int(found[1].replace(",", "")) if found else 0

        return cls(
            received=count("datagrams? received"),
            dropped_by_kernel=None if "kernel drops unknown" in text else count("dropped by the kernel"),
            calls=count("calls? with"),
            attempts=count("attempts?", before="with ") + count("orphan attempts?"),
            delivered=count("spans? delivered"),
            dropped=count("spans? dropped"),
            rejected=count("spans? rejected"),
            repeated=count("spans? sent again"),
            spooled=count("spans? kept in the spool"),
            undecoded=count("datagrams? left undecoded"),
            waiting=count("spans? not delivered yet"),
        )

    @property
    def spans_accounted(self) -> int:
        """Spans in some count."""
        return self.delivered + self.dropped + self.rejected + self.spooled


class Memory:
    """Samples of a process's resident memory."""

    def __init__(self, pid: int) -> None:
        """Sample a process, on Linux."""
        self._status = Path(f"/proc/{pid}/status")
        self.samples: list[int] = []
        """Bytes."""

    def sample(self) -> None:
        """Take another sample."""
        found = re.search(r"VmRSS:\s+(\d+) kB", self._status.read_text("ascii"))
        if found:
            self.samples.append(int(found[1]) * _KIB)

    @property
    def peak_mb(self) -> float:
        """The largest sample."""
        return max(self.samples, default=0) / MB

    def growth_mb(self) -> float:
        """Return by how much the peak after the first tenth of the samples exceeds the peak within it."""
        tenth = max(1, len(self.samples) // 10)
        return (max(self.samples[tenth:], default=0) - max(self.samples[:tenth], default=0)) / MB


def exceptions_in(output: bytes) -> str:
    """Return the table's entry for exceptions in an output."""
    return "some" if has_traceback(output) else "none"


def free_port() -> int:
    """Return a free port of 127.0.0.1."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def files_bytes(folder: Path) -> int:
    """Return the size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.iterdir())


def spooled_names(folder: Path) -> set[str]:
    """Return the names of the spans in a spool, whether its owner is at work or dead.

    Raises:
        TimeoutError: it cannot be read.
    """
    end = time.monotonic() + _SPOOL_DEADLINE_SECONDS
    while (requests := _spooled(folder)) is None:
        if time.monotonic() > end:
            raise TimeoutError("the spool cannot be read")
        time.sleep(0.01)
    return {
        span.name
        for request in requests
        for resource_spans in ExportTraceServiceRequest.FromString(request).resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    }


def _spooled(folder: Path) -> list[bytes] | None:
    with tempfile.TemporaryDirectory() as copy:
        for name in ("requests.sqlite-wal", "requests.sqlite"):  # pages moved meanwhile are in both
            if (folder / name).exists():
                shutil.copy(folder / name, copy)
        with closing(sqlite3.connect(Path(copy, "requests.sqlite"))) as database:
            try:
                return [request for (request,) in database.execute("SELECT request FROM requests")]
            except sqlite3.Error:  # copied while it was being written
                return None
