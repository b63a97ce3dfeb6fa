"""`serve --spool`: requests that wait for a back end outlive the process, however it ends."""

from __future__ import annotations

import shutil
import signal
import socket
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from e2e.programs import environment, has_traceback, lines_of, serving
from lossless import send
from otlp_backend import HttpBackend, wait_until

if TYPE_CHECKING:
    from e2e.programs import Serving

CALLS = 300
_CALL = (
    '{{"Version":1,"ClientId":"","Type":"ApiCall","Service":"S3","Api":"Call{0}","Timestamp":1795458108269,'
    '"AttemptCount":0,"Latency":2,"MaxRetriesExceeded":0}}'
)


def outage(port: int) -> dict[str, str]:
    """Return an environment whose back end is at a port where nothing listens yet."""
    return environment(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}", OTEL_BSP_SCHEDULE_DELAY="20")


@pytest.fixture
def port() -> int:
    """Return a free port of 127.0.0.1."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def send_calls(daemon: Serving, first: int = 0) -> None:
    """Send calls, each with its own name."""
    send(daemon.address, (_CALL.format(number).encode() for number in range(first, first + CALLS)))


def spans_on_disk(folder: Path) -> int:
    """Return how many spans are in a spool, while its owner writes to it."""
    with tempfile.TemporaryDirectory() as copy:
        # In this order pages that move from the log to the file meanwhile are in both copies.
        for name in ("requests.sqlite-wal", "requests.sqlite"):
            if (folder / name).exists():
                shutil.copy(folder / name, copy)
        with closing(sqlite3.connect(Path(copy, "requests.sqlite"))) as database:
            try:
                return int(database.execute("SELECT coalesce(sum(spans), 0) FROM requests").fetchone()[0])
            except sqlite3.Error:  # copied while it was being written
                return -1


def names(backend: HttpBackend) -> Counter[str]:
    """Return how often each span has arrived, by name and id."""
    return Counter(span.name for span in backend.spans)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_what_is_spooled_is_delivered_after_a_restart(tmp_path: Path, port: int, number: signal.Signals) -> None:
    """After a kill in an outage or a stop the next run delivers every span that was on disk, once, under its id."""
    folder = tmp_path / "spool"
    with serving("--spool", folder, "--drain-seconds", "0.2", env=outage(port)) as daemon:
        send_calls(daemon)
        wait_until(lambda: spans_on_disk(folder) == CALLS)
        assert daemon.stop(number) == (-signal.SIGKILL if number is signal.SIGKILL else 0)
        if number is signal.SIGTERM:
            assert b"300 spans kept in the spool for the next run" in daemon.rest
    with HttpBackend(port=port) as backend, serving("--spool", folder, env=outage(port)) as daemon:
        assert f"300 spans from a previous run in {folder}" in daemon.line
        assert ("the previous run was killed or has crashed" in daemon.line) == (number is signal.SIGKILL)
        send_calls(daemon, first=CALLS)
        wait_until(lambda: len(backend.spans) >= 2 * CALLS)
        assert daemon.stop() == 0
        assert names(backend) == Counter(f"S3.Call{number}" for number in range(2 * CALLS))
    assert b"600 spans delivered" in daemon.rest
    assert b"300 spans recovered from the spool of an earlier run, included in these counts" in daemon.rest


@pytest.mark.parametrize("fault", ["in-use", "no-folder", "damaged"])
def test_a_spool_that_cannot_be_used_stops_nothing(tmp_path: Path, port: int, fault: str) -> None:
    """If it is in use, cannot be created or is garbage, a line says so, and spans are delivered."""
    folder = tmp_path / "spool"
    line = {
        "in-use": f"--spool {folder}: another csm-otel uses it; spans for the back end wait in memory",
        "no-folder": f"--spool {folder}: file exists; spans for the back end wait in memory",
        "damaged": "spool was damaged; what could be read of it is kept",
    }[fault]
    if fault == "no-folder":
        folder.write_text("a file")
    if fault == "damaged":
        folder.mkdir()
        (folder / "requests.sqlite").write_bytes(b"garbage" * 1000)
    with HttpBackend(port=port) as backend, serving("--spool", folder, env=outage(port)) as first:
        with serving("--spool", folder, env=outage(port)) as second:
            daemon = second if fault == "in-use" else first
            send_calls(daemon)
            wait_until(lambda: len(backend.spans) >= CALLS)
            assert second.stop() == 0
        assert first.stop() == 0
    assert f"csm-otel: {line}" in [*daemon.line.splitlines(), *lines_of(daemon.rest)]
    assert b"300 spans delivered" in daemon.rest
    assert not has_traceback(daemon.rest)
