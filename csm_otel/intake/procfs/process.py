"""A process as /proc describes it: its name for a user, its start, its host.

It may end while it is read, be another user's, or a system may have no /proc: what cannot be read is left out, and
nothing raises.
"""

from __future__ import annotations

import os
import re
import time
from typing import NamedTuple

from csm_otel.csm.events import Origin
from csm_otel.process.command_name import name_of_command

_NS_PER_SECOND = 1_000_000_000
_MAX_READ_BYTES = 65_536  # a command line may hold two million; its script is near its start
_MAX_NAME_LETTERS = 200
_DELETED = " (deleted)"  # how the kernel marks a program that was replaced while it runs
_START_TICKS = 19  # the 22nd of all fields
_ENDED_STATES = frozenset("ZXx")
_THREAD_GROUP = re.compile(r"^Tgid:\s*(?P<pid>\d+)$", re.MULTILINE)
# Docker, containerd, CRI-O and Podman name the cgroup after the container's 64 digits, with or without a prefix and a
# unit's suffix; Fargate after its task's 32 digits and a number.
_CONTAINER = re.compile(r"(?:^|[-:])(?P<id>[0-9a-f]{64}|[0-9a-f]{32}-\d{1,20})(?:\.scope)?$")


class Status(NamedTuple):
    """Fields of /proc/PID/stat. Source: proc_pid_stat(5)."""

    has_ended: bool
    """Whether only its exit status is left."""
    parent: int
    start_ticks: int


def read_status(pid: int) -> Status | None:
    """Return a process's status, or None if there is no such process."""
    text = _read(f"/proc/{pid}/stat")
    fields = text.rpartition(")")[2].split()  # behind the name, which may hold anything
    if len(fields) <= _START_TICKS:
        return None
    return Status(fields[0] in _ENDED_STATES, int(fields[1]), int(fields[_START_TICKS]))


def process_of(thread: int) -> int | None:
    """Return the pid of a thread's process, its own for a pid: /proc has threads too, though it does not list them."""
    found = _THREAD_GROUP.search(_read(f"/proc/{thread}/status"))
    return int(found["pid"]) if found else None


def describe(pid: int) -> Origin | None:
    """Return a process as an origin, or None if it has ended. Of its arguments only the name is kept."""
    status = read_status(pid)
    if status is None or status.has_ended:
        return None
    # First what disappears with its end.
    name = name_of_command(_read(f"/proc/{pid}/cmdline").removesuffix("\0").split("\0"))
    executable = _executable(pid)
    return Origin(
        pid=pid,
        start_ticks=status.start_ticks,
        start_ns=_start_ns(status.start_ticks),
        name=_printable(name) or _printable(executable) or kernel_name(pid),
        executable=_printable(executable),
        container_id=container_id_of(_read(f"/proc/{pid}/cgroup")),
    )


def kernel_name(pid: int) -> str:
    """Return the kernel's name of a process: 15 bytes, which it may set itself to anything; empty if unknown."""
    name = _read(f"/proc/{pid}/comm").removesuffix("\n")
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def container_id_of(cgroups: str) -> str:
    """Return the container that the text of /proc/PID/cgroup names, the innermost where they are nested, or nothing."""
    for line in cgroups.splitlines():  # hierarchy:controllers:path, and the path may hold colons
        for part in reversed(line.split(":", 2)[-1].split("/")):
            if found := _CONTAINER.search(part):
                return found["id"]
    return ""


def _start_ns(start_ticks: int) -> int:
    """Return the wall time of a start, to the kernel's tick (10 ms). The boot time of /proc/stat is a second off."""
    since_boot_ns = start_ticks * _NS_PER_SECOND // os.sysconf("SC_CLK_TCK")
    return time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME) + since_boot_ns


def _executable(pid: int) -> str:
    try:
        target = os.readlink(f"/proc/{pid}/exe")  # ruff: ignore[os-readlink] - it may be gone
    except OSError:
        return ""
    return target.removesuffix(_DELETED).rpartition("/")[2]


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:  # ruff: ignore[builtin-open] - a third of what pathlib costs
            return file.read(_MAX_READ_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:_MAX_NAME_LETTERS]
