"""``python -m soak.peers``: the scenarios, a table of their outcomes, and 1 if csm-otel misreported a loss."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.e2e.programs import SCHEDULE_DELAY_SECONDS
from soak.peers import installed, rate, scenarios
from soak.peers.collector import Collector
from soak.peers.ours import CsmOtel
from soak.peers.outcome import behind, heading, inexact, rendered
from soak.peers.statsd import StatsdExporter

if TYPE_CHECKING:
    from collections.abc import Callable

    from soak.peers.outcome import Outcome
    from soak.peers.program import Program

_PER_SECOND = 200
_OUTAGE_SECONDS = 30
_BACK_OFF_SECONDS = 50.0  # the Collector's longest is 30 s, plus or minus half of it
_SOON_SECONDS = 12.0  # a new process retries at once
_SMALL_BYTES = 1_048_576  # of a queue; filled after 10 to 20 s of the outage
_BUFFER_BYTES = 4 * 1024 * 1024  # csm-otel's default
_DEFAULT_BUFFER_BYTES = 106_496  # Linux's default
_TIMEOUT_SECONDS = 1.0
_RATE = "rate"


class _Peers:
    """The compared programs, each with its files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._otelcol = installed.collector().folder / "otelcol"
        self._statsd_exporter = installed.statsd_exporter().folder / "statsd_exporter"

    def on_disk(self) -> list[Program]:
        """Return those with a queue on disk, with their defaults."""
        return [
            CsmOtel("spool", "--spool", self._folder / "spool"),
            self._collector(),
            self._collector(over_udp=True),
        ]

    def on_disk_and_often(self) -> list[Program]:
        """Return the same, and csm-otel with its batch delay without a spool."""
        flags = ("--spool", self._folder / "spool-often")
        return [*self.on_disk(), CsmOtel("spool, batch delay 5 s", *flags, OTEL_BSP_SCHEDULE_DELAY="5000")]

    def in_memory(self) -> list[Program]:
        """Return those with a queue in memory."""
        return [CsmOtel("in memory"), self._collector(on_disk=False), self._collector(over_udp=True, on_disk=False)]

    def bounded(self) -> list[Program]:
        """Return them with small queues."""
        size = str(_SMALL_BYTES)
        return [
            CsmOtel("in memory", "--queue-bytes", size),
            CsmOtel("spool", "--spool", self._folder / "spool", "--spool-bytes", size),
            self._collector(queue_bytes=_SMALL_BYTES),
            self._collector(over_udp=True, queue_bytes=_SMALL_BYTES),
        ]

    def impatient(self) -> list[Program]:
        """Return them with short timeouts."""
        variables = {"OTEL_EXPORTER_OTLP_TIMEOUT": str(int(_TIMEOUT_SECONDS * 1000))}
        return [
            CsmOtel("spool", "--spool", self._folder / "spool", **variables),
            self._collector(timeout_seconds=_TIMEOUT_SECONDS),
            self._collector(over_udp=True, timeout_seconds=_TIMEOUT_SECONDS),
        ]

    def with_large_buffer(self) -> list[Program]:
        """Return those that receive UDP and can set the receive buffer."""
        statsd = StatsdExporter(self._statsd_exporter, self._folder / "statsd", buffer_bytes=_BUFFER_BYTES)
        return [CsmOtel("", "--receive-buffer-bytes", str(_BUFFER_BYTES)), statsd]

    def with_default_buffer(self) -> list[Program]:
        """Return those that receive UDP, with the default receive buffer."""
        return [
            CsmOtel("", "--receive-buffer-bytes", str(_DEFAULT_BUFFER_BYTES)),
            self._collector(over_udp=True),
            StatsdExporter(self._statsd_exporter, self._folder / "statsd"),
        ]

    def over_udp(self) -> list[Program]:
        """Return those that receive UDP, with as much buffer as they can ask for."""
        batch_delay = f"{SCHEDULE_DELAY_SECONDS * 1000:.0f}"  # as a trial expects it
        return [
            CsmOtel("", "--receive-buffer-bytes", str(_BUFFER_BYTES), OTEL_BSP_SCHEDULE_DELAY=batch_delay),
            StatsdExporter(self._statsd_exporter, self._folder / "statsd", buffer_bytes=_BUFFER_BYTES),
            self._collector(over_udp=True, on_disk=False),
        ]

    def _collector(
        self,
        *,
        over_udp: bool = False,
        on_disk: bool = True,
        queue_bytes: int = 67_108_864,
        timeout_seconds: float = 10.0,
    ) -> Collector:
        name = f"collector-{'udp' if over_udp else 'otlp'}-{'disk' if on_disk else 'memory'}"
        return Collector(
            self._otelcol,
            self._folder / name,
            over_udp=over_udp,
            on_disk=on_disk,
            queue_bytes=queue_bytes,
            timeout_seconds=timeout_seconds,
        )


def main() -> int:
    """Run the selected scenarios and return the exit code."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that all started programs are ended
    found = _scenarios()
    known = [*found, _RATE]
    parser = argparse.ArgumentParser(prog="python -m soak.peers", description="csm-otel beside daemons of others.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all unless given: {', '.join(known)}")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(known):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    programs = (installed.collector(), installed.statsd_exporter())
    if missing := [why for why in (program.why_not() for program in programs) if why]:
        parser.error("; ".join(missing))
    versions = ", ".join(f"{program.name} {program.version}" for program in programs)
    print(f"{os.cpu_count()} processors, Python {sys.version.partition(' ')[0]}, {versions}\n\n{heading()}", flush=True)
    outcomes: list[Outcome] = []
    for name in found if not asked.names else [name for name in asked.names if name != _RATE]:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="csm-otel-peers-") as folder:
            came = found[name](_Peers(Path(folder)))
        outcomes += came
        print(rendered(came), flush=True)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    if not asked.names or _RATE in asked.names:
        print(f"\n{rate.heading()}", flush=True)
        with tempfile.TemporaryDirectory(prefix="csm-otel-peers-") as folder:
            print(rate.rendered(rate.rates(_Peers(Path(folder)).over_udp())), flush=True)
    wrong = inexact(outcomes)
    print("\nWhere another program lost or repeated less:", *behind(outcomes) or ["nowhere"], sep="\n")
    print("\nWhere csm-otel reported another loss than its own:", *wrong or ["nowhere"], sep="\n")
    return 1 if wrong else 0


def _scenarios() -> dict[str, Callable[[_Peers], list[Outcome]]]:
    return {
        "refused": lambda peers: _refused("", peers.on_disk()),
        "refused-memory": lambda peers: _refused(", in memory", peers.in_memory()),
        "killed": lambda peers: _ended(
            signal.SIGKILL, "kill -9 after 30 s of outage, restart", peers.on_disk_and_often(), seconds=30
        ),
        "terminated": lambda peers: _ended(
            signal.SIGTERM, "SIGTERM after 10 s of outage, restart", peers.on_disk(), seconds=10
        ),
        "terminated-memory": lambda peers: _ended(
            signal.SIGTERM, "SIGTERM after 10 s of outage, in memory", peers.in_memory(), seconds=10
        ),
        "bounded": lambda peers: _refused(", a queue of 1 MiB", peers.bounded(), per_second=500),
        "faulty": lambda peers: scenarios.faulty(
            f"back end cuts, resets, stalls {_OUTAGE_SECONDS} s at {_PER_SECOND}/s",
            peers.impatient(),
            seconds=_OUTAGE_SECONDS,
            per_second=_PER_SECOND,
            timeout_seconds=_TIMEOUT_SECONDS,
            quiet_seconds=_BACK_OFF_SECONDS,
        ),
        "paused": lambda peers: _paused("4 MiB of buffer asked for", peers.with_large_buffer()),
        "paused-small": lambda peers: _paused("Linux's default buffer", peers.with_default_buffer()),
    }


def _refused(about: str, programs: list[Program], *, per_second: float = _PER_SECOND) -> list[Outcome]:
    return scenarios.refused(
        f"back end away {_OUTAGE_SECONDS} s at {per_second:g}/s{about}",
        programs,
        seconds=_OUTAGE_SECONDS,
        per_second=per_second,
        quiet_seconds=_BACK_OFF_SECONDS,
    )


def _ended(number: signal.Signals, about: str, programs: list[Program], *, seconds: float) -> list[Outcome]:
    return scenarios.ended(
        f"{about}, at {_PER_SECOND}/s",
        programs,
        number=number,
        seconds=seconds,
        per_second=_PER_SECOND,
        quiet_seconds=_SOON_SECONDS,
    )


def _paused(about: str, programs: list[Program]) -> list[Outcome]:
    return scenarios.paused(
        f"SIGSTOP 1 s under 2,500 datagrams of 1 kB, {about}",
        programs,
        count=2500,
        size=1000,
        quiet_seconds=_SOON_SECONDS / 2,
    )


if __name__ == "__main__":
    sys.exit(main())
