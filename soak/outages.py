"""The back end is unavailable or unreliable: queued, lost and repeated spans.

Bars of time and memory are for `make soak`; without them only the counts are checked.
"""

from __future__ import annotations

import math
import signal
import time
from typing import TYPE_CHECKING

from e2e.programs import environment, has_traceback, serving
from lossless import wait_until_read

from soak.backend import CountingBackend
from soak.daemon import MB, Memory, PrintedTally, exceptions_in, files_bytes, free_port, spooled_names
from soak.proxy import FaultyProxy
from soak.table import Row
from soak.traffic import name_of, names_of, send

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_DELAY_MS = 1000
_LEAST_SPOOL_BYTES = 1_048_576
_GIVE_UP_SECONDS = 60.0
_POLL_SECONDS = 0.01
_TIMEOUT_MS = 1000
_SPOOL_BYTES_PER_SPAN = 100  # less than half the size of a span, so that the bound is reached
# SQLite's pages and its log (cut to 4 MiB once it is written back) may add this to the requests.
_FILES_SHARE, _FILES_MB = 1.1, 12.0


def _to(port: int, delay_ms: int | None = _DELAY_MS) -> dict[str, str]:
    return environment(
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
        OTEL_BSP_SCHEDULE_DELAY="" if delay_ms is None else str(delay_ms),
        OTEL_EXPORTER_OTLP_TIMEOUT=str(_TIMEOUT_MS),
    )


def refused(
    *,
    seconds: float,
    per_second: float,
    within_seconds: float = math.inf,
    delay_ms: int = _DELAY_MS,
    give_up_seconds: float = _GIVE_UP_SECONDS,
    flags: Sequence[str | Path] = (),
) -> list[Row]:
    """Refuse connections while datagrams arrive, then accept them."""
    port, count = free_port(), int(seconds * per_second)
    with serving(*flags, env=_to(port, delay_ms)) as daemon:
        sent = send(daemon.address, count, per_second=per_second, as_read=True)
        with CountingBackend(port=port) as backend:
            took = backend.wait_for_spans(sent, deadline_seconds=give_up_seconds)
            daemon.stop()
        lost = len(names_of(sent) - backend.names)
        twice = backend.spans_arrived - len(backend.names)
    about = f"back end away {seconds:g} s at {per_second:g} datagrams/s, {'spool' if flags else 'memory'}"
    return [
        Row(f"{about}: lost", "0", f"{lost:,} of {sent:,}", lost == 0),
        Row(f"{about}: delivered twice", "0", f"{twice:,}", twice == 0),
        Row(
            f"{about}: all delivered",
            f"<= {within_seconds:g} s after its return",
            f"{took:.1f} s",
            took <= within_seconds,
        ),
        _sane(about, daemon.rest),
    ]


def faulty(*, seconds: float, per_second: float, flags: Sequence[str | Path] = ()) -> list[Row]:
    """Cut, reset and stall connections while datagrams arrive, then forward everything."""
    count = int(seconds * per_second)
    with (
        CountingBackend() as backend,
        FaultyProxy(backend.port, stall_seconds=1.5 * _TIMEOUT_MS / 1000) as proxy,
        serving(*flags, env=_to(proxy.port, delay_ms=200)) as daemon,
    ):
        sent = send(daemon.address, count, per_second=per_second, as_read=True)
        proxy.heal()
        backend.wait_for_spans(sent, deadline_seconds=_GIVE_UP_SECONDS)
        daemon.stop()
    tally = PrintedTally.read(daemon.rest)
    lost = len(names_of(sent) - backend.names)
    other_ids = len(backend.arrivals) - len(backend.names)
    twice = backend.spans_arrived - len(backend.arrivals)
    where = "spool" if flags else "memory"
    about = f"back end cuts, resets, stalls {seconds:g} s at {per_second:g}/s ({proxy.faults.total()} faults), {where}"
    return [
        Row(f"{about}: lost", "0", f"{lost:,} of {sent:,}", lost == 0),
        Row(f"{about}: repeats with another id", "0", f"{other_ids:,}", other_ids == 0),
        Row(
            f"{about}: arrived twice",
            'all among the tally\'s "sent again"',
            f"{twice:,} of {tally.repeated:,}",
            twice <= tally.repeated and proxy.faults.total() > 0,
        ),
        _accounted(about, tally, sent, backend.spans_arrived - twice),
        _sane(about, daemon.rest),
    ]


def killed(*, seconds: float, per_second: float, folder: Path, window_seconds: float = math.inf) -> list[Row]:
    """Kill the daemon in the outage, and let another continue with its spool; the batch delay is the default."""
    port, count = free_port(), int(seconds * per_second)
    with serving("--spool", folder, env=_to(port, None)) as daemon:
        sent = send(daemon.address, count, per_second=per_second)
        while not (kept := spooled_names(folder)):
            time.sleep(_POLL_SECONDS)
        daemon.stop(signal.SIGKILL)
        kept |= spooled_names(folder)  # including spans written in the meantime
    with CountingBackend(port=port) as backend, serving("--spool", folder, env=_to(port, None)) as daemon:
        backend.wait_for_spans(len(kept), deadline_seconds=_GIVE_UP_SECONDS)
        daemon.stop()
    lost = len(kept - backend.names)
    missing = [number for number in range(sent) if name_of(number) not in backend.names]
    window = (sent - missing[0]) / per_second if missing else 0.0
    about = f"kill -9 after {seconds:g} s of outage at {per_second:g}/s"
    return [
        Row(f"{about}: lost of what the spool held", "0", f"{lost:,} of {len(kept):,}", lost == 0 and bool(kept)),
        Row(
            f"{about}: lost of what it did not hold yet",
            f"only the last {window_seconds:g} s",
            f"{len(missing):,} of {sent:,}, the last {window:.2f} s",
            window <= window_seconds,
        ),
        Row(f"{about}: delivered twice", "0", f"{(n := backend.spans_arrived - len(backend.names)):,}", n == 0),
    ]


def long(*, minutes: float, per_second: float, folder: Path | None, most_mb: float = math.inf) -> list[Row]:
    """Refuse connections until the queue is full, and account for every span."""
    port, count = free_port(), int(minutes * 60 * per_second)
    spool_bytes = max(_LEAST_SPOOL_BYTES, count * _SPOOL_BYTES_PER_SPAN)
    flags: list[str | Path] = ["--drain-seconds", "50"]
    flags += ["--spool", folder, "--spool-bytes", str(spool_bytes)] if folder else []
    files: list[int] = []
    with serving(*flags, env=_to(port)) as daemon:
        memory = Memory(daemon.process.pid)

        def watch() -> None:
            memory.sample()
            if folder:
                files.append(files_bytes(folder))

        sent = send(daemon.address, count, per_second=per_second, as_read=True, watch=watch)
        wait_until_read(daemon.address[1])
        began = time.monotonic()
        with CountingBackend(port=port) as backend:
            daemon.stop()
        took = time.monotonic() - began
    tally = PrintedTally.read(daemon.rest)
    about = f"back end away {minutes:g} min at {per_second:,.0f}/s, {'spool' if folder else 'memory'}"
    rows = [
        Row(f"{about}: memory", f"RSS <= {most_mb:g} MB", f"{memory.peak_mb:.1f} MB", memory.peak_mb <= most_mb),
        _accounted(about, tally, sent, backend.spans_arrived),
        _sane(about, daemon.rest),
    ]
    if folder:
        most = spool_bytes / MB * _FILES_SHARE + _FILES_MB
        peak = max(files) / MB
        rows += [
            Row(
                f"{about}: files of a spool of {spool_bytes / MB:.1f} MB",
                f"<= {most:.1f} MB",
                f"{peak:.1f} MB",
                peak <= most,
            ),
            Row(
                f"{about}: the bound was reached",
                "spans dropped",
                f"{tally.dropped:,}, rest in {took:.1f} s",
                tally.dropped > 0,
            ),
        ]
    return rows


def _accounted(about: str, tally: PrintedTally, sent: int, arrived: int) -> Row:
    lost_by_kernel = tally.dropped_by_kernel or 0
    is_exact = (
        tally.spans_accounted + lost_by_kernel == sent
        and tally.received + lost_by_kernel == sent
        and tally.waiting == 0
        and arrived == tally.delivered
    )
    return Row(
        f"{about}: sent = delivered + dropped + spooled",
        "to the span",
        f"{sent:,} = {tally.delivered:,} + {tally.dropped:,} + {tally.spooled:,}, {arrived:,} arrived, "
        f"{lost_by_kernel:,} lost by the kernel",
        is_exact,
    )


def _sane(about: str, stderr: bytes) -> Row:
    return Row(f"{about}: exceptions", "none", exceptions_in(stderr), not has_traceback(stderr))
