"""One run of a program under a workload: `trial`."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.e2e.backlog import Observed
from benchmarks.e2e.procfs import cpu_seconds, queue_of, resident_mib
from benchmarks.e2e.programs import SCHEDULE_DELAY_SECONDS, Lines, Sink
from benchmarks.e2e.senders import Sent

if TYPE_CHECKING:
    from benchmarks.e2e.programs import Daemon, Program
    from benchmarks.e2e.sink import Arrived

_LEAD_SECONDS = 0.05  # until all senders have read when to start
_POLL_SECONDS = 0.1
_GRACE_SECONDS = 0.25  # of csm-otel, for late attempts
_SLACK_SECONDS = 0.25
_DELAY_SECONDS = SCHEDULE_DELAY_SECONDS + _GRACE_SECONDS + _SLACK_SECONDS


class Trial(NamedTuple):
    """What a run has shown."""

    observed: Observed
    received: int
    """Datagrams, by the program's own count."""
    reported: int | None
    """The loss of datagrams and spans by the program's own counts; None if it has none."""
    cpu_seconds: float
    """Of the program, from the start of the sending until everything was delivered."""
    sending_cpu_seconds: float
    """Of the program, while datagrams were sent."""
    idle_mib: float
    """Resident memory before the sending."""
    loaded_mib: float
    """The largest resident memory while sending."""
    arrived: Arrived | None
    """At the back end; None of a program that delivers nothing."""

    @property
    def us_a_datagram(self) -> float:
        """The processor time of the program for each datagram that it received."""
        return self.cpu_seconds / max(self.received, 1) * 1e6

    @property
    def cpu_share(self) -> float:
        """The share of a processor that the program used while datagrams were sent."""
        return self.sending_cpu_seconds / self.observed.seconds

    @property
    def lost(self) -> int:
        """Spans that were sent as datagrams and did not arrive."""
        return self.observed.sent - (self.received if self.arrived is None else self.arrived.spans)


def trial(
    program: Program, *, per_second: float, seconds: float, workload: str = "mixed", senders: int = 2, seed: int = 1
) -> Trial:
    """Run a program, send it a workload from so many processes, wait until it has delivered, and stop it."""
    with ExitStack() as stack:
        sink = stack.enter_context(Sink(program.protocol)) if program.delivers else None
        daemon = stack.enter_context(program.running(sink.endpoint if sink else ""))
        sending = [
            stack.enter_context(_sender(daemon, workload, per_second / senders, seconds, seed * senders + number))
            for number in range(senders)
        ]
        for sender in sending:
            sender.read()
        idle_mib, began_cpu = resident_mib(daemon.pid), cpu_seconds(daemon.pid)
        start = time.monotonic() + _LEAD_SECONDS
        for sender in sending:
            sender.write(repr(start))
        queued, loaded_mib = _watch(daemon, start=start, seconds=seconds)
        sending_cpu = cpu_seconds(daemon.pid) - began_cpu
        sent = [Sent(**sender.read()) for sender in sending]
        time.sleep(max(0.0, start + seconds + _DELAY_SECONDS - time.monotonic()))
        cpu = cpu_seconds(daemon.pid) - began_cpu
        dropped = queue_of(daemon.address[1]).drops
        received = daemon.stop()
        arrived = sink.arrived() if sink else None
    observed = Observed(
        sent=sum(one.datagrams for one in sent),
        seconds=seconds,
        late_seconds=max(one.late_ms for one in sent) / 1000,
        dropped=dropped,
        queued=queued,
        arrived=None if arrived is None else [(at - start, count) for at, count in arrived.counts],
        delay_seconds=_DELAY_SECONDS,
    )
    return Trial(observed, received, daemon.reported, cpu, sending_cpu, idle_mib, loaded_mib, arrived)


def _sender(daemon: Daemon, workload: str, per_second: float, seconds: float, seed: int) -> Lines:
    return Lines("benchmarks.e2e.senders", *daemon.address, workload, per_second, seconds, seed)


def _watch(daemon: Daemon, *, start: float, seconds: float) -> tuple[list[tuple[float, int]], float]:
    """Look at a program until the sending ends; return its receive queue by time, and its largest memory."""
    queued, most_mib = [], 0.0
    while (now := time.monotonic() - start) < seconds:
        queued.append((now, queue_of(daemon.address[1]).bytes))
        most_mib = max(most_mib, resident_mib(daemon.pid))
        time.sleep(max(0.0, min(_POLL_SECONDS, start + seconds - time.monotonic())))
    return queued, most_mib
