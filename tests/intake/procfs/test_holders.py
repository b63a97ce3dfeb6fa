"""The process that a socket belongs to, held by one process or several."""

from __future__ import annotations

import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from children.processes import next_line, python, started
from platforms import on_linux

from csm_otel.intake.procfs.holders import find_holder, find_holders
from csm_otel.intake.procfs.process import describe
from csm_otel.intake.procfs.sockets import inode_of_sender, newest_first, udp_sockets

if TYPE_CHECKING:
    from csm_otel.csm.events import Origin


# The parent opens a socket and forks, the child too; all three hold it.
FAMILY = r"""
import os, socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
os.fork() or os.fork()
os.write(1, f"{sock.getsockname()[1]} {os.getpid()}\n".encode())  # in one piece: the others write, too
os.read(0, 1)
"""

# The child has a socket of its own besides.
SHARED_AND_OWN = r"""
import os, socket
shared = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
if os.fork() == 0:
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    print(os.getpid(), *(os.fstat(sock.fileno()).st_ino for sock in (shared, own)), flush=True)
os.read(0, 1)
"""


def holders(*inodes: int, pids: tuple[int, ...] = ()) -> list[tuple[int, Origin]]:
    """Return the holders among the pids, by default all, in the order in which they are found."""
    found: list[tuple[int, Origin]] = []
    find_holders(inodes, pids or newest_first(), lambda inode, origin: found.append((inode, origin)))
    return found


@on_linux
def test_one_holder() -> None:
    """Each socket is found with its process; one that no process holds is not."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        inode = os.fstat(sock.fileno()).st_ino
        assert [(inode, os.getpid())] == [(one, origin.pid) for one, origin in holders(inode, 2**40)]
        assert [os.getpid()] == [origin.pid for _, origin in holders(inode, pids=(2**22 + 1, os.getpid()))]


@on_linux
def test_the_pid_of_a_thread() -> None:
    """A thread's pid stands for its process, and an unknown one for none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, ThreadPoolExecutor(1) as pool:
        inode = os.fstat(sock.fileno()).st_ino
        thread = pool.submit(threading.get_native_id).result()
        assert thread != os.getpid()
        found = find_holder(inode, [2**22 + 1, thread])
        ((_, same),) = holders(inode, pids=(thread,))
    own = describe(os.getpid())
    assert own is not None
    assert found is not None
    assert own.process == found.process == same.process
    assert find_holder(inode, [os.getpid()]) is None


@on_linux
def test_a_socket_that_children_share() -> None:
    """A socket that forked children hold as well is their parent's, whichever of them is met first."""
    with started(python(FAMILY)) as process:
        lines = [tuple(map(int, next_line(process.stdout).split())) for _ in range(3)]
        port = lines[0][0]
        inode = inode_of_sender("127.0.0.1", port, udp_sockets({port}))
        assert inode is not None
        pids = [pid for _, pid in lines]
        assert process.pid in pids
        for first in pids:
            assert [process.pid] == [origin.pid for _, origin in holders(inode, pids=(first,))]
        assert [process.pid] == [origin.pid for _, origin in holders(inode)]


@on_linux
def test_a_socket_that_is_shared_and_another() -> None:
    """Of the sockets of a child, only the one that its parent holds as well is the parent's."""
    with started(python(SHARED_AND_OWN)) as process:
        child, shared, own = map(int, next_line(process.stdout).split())
        found = {inode: origin.pid for inode, origin in holders(shared, own, pids=(child,))}

    assert {shared: process.pid, own: child} == found
