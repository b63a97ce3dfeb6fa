"""Which process holds a socket open: inodes in, origins out.

A socket may have several holders, since a forked child shares its parent's; nothing shows which of them sends. The
oldest stands for all, as it has started the others: from a holder on, each parent that holds the socket as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.intake.procfs.process import describe, process_of, read_status
from csm_otel.intake.procfs.sockets import socket_inodes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from csm_otel.csm.events import Origin


def find_holder(inode: int, pids: Iterable[int]) -> Origin | None:
    """Return the first process that holds a socket, among pids as for `find_holders`.

    It need not be the oldest of all that hold it.
    """
    for pid in pids:
        if inode in socket_inodes(pid) and (origin := _describe(pid)):
            return origin
    return None


def find_holders(inodes: Iterable[int], pids: Iterable[int], found: Callable[[int, Origin], None]) -> None:
    """Call ``found`` with each socket's inode and its process, as soon as one of the pids is found to hold it.

    A pid may be a thread's, or unused. The pids are iterated over until all sockets are found.
    """
    wanted = set(inodes)
    for pid in pids:
        if not wanted:
            return
        held = wanted.intersection(socket_inodes(pid))
        # Described before its parents are checked: it may not live that long.
        if held and (origin := _describe(pid)):
            wanted -= held
            for inode, oldest in oldest_holders(origin, held).items():
                found(inode, oldest)


def oldest_holders(origin: Origin, inodes: Collection[int]) -> dict[int, Origin]:
    """Return the oldest holder of each socket, among a process that holds them all and its parents."""
    oldest = dict.fromkeys(inodes, origin)
    shared = set(inodes)
    while shared and (status := read_status(origin.pid)):
        shared.intersection_update(socket_inodes(status.parent))
        parent = describe(status.parent) if shared else None
        if parent is None:
            break
        origin = parent
        oldest.update(dict.fromkeys(shared, origin))
    return oldest


def _describe(pid: int) -> Origin | None:
    process = process_of(pid)
    return describe(process) if process is not None else None
