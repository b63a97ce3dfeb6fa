"""What Linux reports about another process and of a UDP port: processor time, memory, receive queue."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import NamedTuple

_KIB_PER_MIB = 1024
_CLOCK_OF_PROCESS = 2  # CPUCLOCK_SCHED: the scheduler's count, in nanoseconds


class Queue(NamedTuple):
    """The receive buffers of a UDP port."""

    bytes: int
    """As the kernel counts them, with its own part of each datagram."""
    drops: int
    """Datagrams that did not fit, since the port was bound."""


def cpu_seconds(pid: int) -> float:
    """Return the processor time that all threads of a process have used."""
    return time.clock_gettime(~pid << 3 | _CLOCK_OF_PROCESS)  # clock_getcpuclockid(3)


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text("ascii"))
    return int(found[1]) / _KIB_PER_MIB if found else 0.0


def queue_of(port: int) -> Queue:
    """Return the state of the receive buffers of a UDP port."""
    return queue_in(Path("/proc/net/udp").read_text("ascii"), port)


def queue_in(table: str, port: int) -> Queue:
    """Return the state of a port by the text of ``/proc/net/udp``."""
    size = drops = 0
    for line in re.findall(rf"^.*: [0-9A-F]+:{port:04X} .*$", table, re.MULTILINE):
        words = line.split()
        size += int(words[4].partition(":")[2], 16)
        drops += int(words[12])
    return Queue(size, drops)
