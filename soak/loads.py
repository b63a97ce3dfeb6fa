"""Overload, garbage, a pause, a stop under load: the daemon's counts and costs.

Bars of time, memory and rates are for `make soak`; without them only the counts are checked.
"""

from __future__ import annotations

import math
import re
import signal
import threading
import time
from typing import TYPE_CHECKING

from conformance.recordings import CAPTURES, recording
from e2e.programs import environment, has_traceback, serving
from lossless import wait_until_read

from soak.backend import CountingBackend
from soak.daemon import Memory, PrintedTally, exceptions_in
from soak.table import Row
from soak.traffic import damaged, send, send_as_read

if TYPE_CHECKING:
    from pathlib import Path

_TALLY_LINES = 10
_TRUESIZE_BYTES = 2_500  # the most that a datagram of 1 kB takes in the kernel's accounting


def captured() -> list[bytes]:
    """Return the datagrams that real SDKs sent."""
    return [datagram.payload for name in CAPTURES for datagram in recording(name)]


def fuzzed(*, count: int, most_growth_mb: float = math.inf, lines_a_second: float = math.inf) -> list[Row]:
    """Send damaged datagrams, with a bound on pending events that is reached in the first tenth."""
    pending = max(100, count // 200)  # one in ten is an attempt that stays pending
    with (
        CountingBackend(keeps_names=False) as backend,
        serving(
            "--pending-events", str(pending), env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint)
        ) as daemon,
    ):
        memory = Memory(daemon.process.pid)
        began = time.monotonic()
        sent = send_as_read(daemon.address, damaged(captured(), count), watch=memory.sample)
        took = time.monotonic() - began
        wait_until_read(daemon.address[1])
        code = daemon.stop()
    tally = PrintedTally.read(daemon.rest)
    lines = daemon.rest.decode().count("\n")
    dropped = tally.dropped_by_kernel or 0
    events = tally.calls + tally.attempts
    growth_mb = memory.growth_mb()
    about = f"{count:,} damaged datagrams, {sent / took:,.0f}/s"
    return [
        Row(f"{about}: exceptions", "none", exceptions_in(daemon.rest), _ended_well(code, daemon.rest)),
        Row(
            f"{about}: received + dropped by the kernel",
            "= sent",
            f"{tally.received:,} + {dropped:,} = {sent:,}",
            tally.received + dropped == sent,
        ),
        Row(
            f"{about}: delivered + dropped spans",
            "= events",
            f"{tally.delivered:,} + {tally.dropped:,} = {events:,}",
            tally.spans_accounted == events and backend.spans_arrived == tally.delivered > 0,
        ),
        Row(
            f"{about}: RSS after the first tenth",
            f"grows <= {most_growth_mb:g} MB",
            f"{growth_mb:+.1f} MB to {memory.peak_mb:.1f} MB",
            growth_mb <= most_growth_mb,
        ),
        Row(
            f"{about}: lines of log",
            f"<= {lines_a_second:g} a second, and the tally",
            f"{lines} in {took:.0f} s",
            lines <= lines_a_second * took + _TALLY_LINES,
        ),
    ]


def paused(*, count: int, buffer_bytes: int, loses: bool) -> list[Row]:
    """Stop the daemon for a second under load; ``loses``: whether the buffer is too small for that."""
    with serving("--receive-buffer-bytes", str(buffer_bytes), env=environment(OTEL_TRACES_EXPORTER="none")) as daemon:
        found = re.search(r"receive buffer ([\d,]+) bytes", daemon.line)
        effective = int(found[1].replace(",", "")) if found else 0
        about = f"SIGSTOP 1 s under {count:,} datagrams of 1 kB, {effective:,} bytes of buffer"
        if not loses and effective < count * _TRUESIZE_BYTES:
            return [Row(f"{about}: lost", "0", "net.core.rmem_max allows no more", None)]
        daemon.process.send_signal(signal.SIGSTOP)
        try:
            sent = send(daemon.address, count, per_second=count, size=1000)
        finally:
            daemon.process.send_signal(signal.SIGCONT)
        wait_until_read(daemon.address[1])
        daemon.stop()
    tally = PrintedTally.read(daemon.rest)
    dropped = tally.dropped_by_kernel
    if dropped is None:
        return [Row(f"{about}: lost", "counted", "this system does not count drops", None)]
    is_exact = tally.received + dropped == sent and (dropped > 0) is loses
    bar = "counted exactly" if loses else "0 lost"
    return [Row(about, bar, f"{tally.received:,} received + {dropped:,} dropped = {sent:,} sent", is_exact)]


def terminated(
    *,
    seconds: float,
    per_second: float,
    answer_seconds: float,
    drain_seconds: float,
    folder: Path | None,
    slack_seconds: float = math.inf,
) -> list[Row]:
    """Stop the daemon under load while its back end is slow."""
    flags: list[str | Path] = ["--drain-seconds", str(drain_seconds)]
    flags += ["--spool", folder] if folder else []
    over = threading.Event()
    with CountingBackend(delay_seconds=answer_seconds) as backend:
        env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint, OTEL_BSP_SCHEDULE_DELAY="200")
        with serving(*flags, env=env) as daemon:
            load = threading.Thread(
                target=send, args=(daemon.address, 10**9), kwargs={"per_second": per_second, "until": over.is_set}
            )
            load.start()
            try:
                over.wait(seconds)
                began = time.monotonic()
                code = daemon.stop()
                took = time.monotonic() - began
            finally:
                over.set()
                load.join()
    tally = PrintedTally.read(daemon.rest)
    made = tally.calls + tally.attempts
    about = f"SIGTERM under {per_second:g}/s, answers take {answer_seconds:g} s, {'spool' if folder else 'memory'}"
    return [
        Row(
            f"{about}: ends",
            f"<= {drain_seconds:g} s + {slack_seconds:g}",
            f"{took:.2f} s",
            took <= drain_seconds + slack_seconds and _ended_well(code, daemon.rest),
        ),
        Row(
            f"{about}: delivered + spooled + dropped",
            "= made",
            f"{tally.delivered:,} + {tally.spooled:,} + {tally.dropped:,} = {made:,}; {tally.undecoded:,} undecoded",
            tally.spans_accounted == made == tally.received - tally.undecoded > 0 and tally.waiting == 0,
        ),
    ]


def _ended_well(code: int, stderr: bytes) -> bool:
    return code == 0 and not has_traceback(stderr)
