"""Removes from Linux what macOS lacks, for this process and every Python below it: put this folder on PYTHONPATH.

No SO_MEMINFO, SO_TIMESTAMPNS, SO_RCVBUFFORCE, sigwaitinfo and pidfd; the caller hides /proc (`make test-portable`
does both).
"""

import errno
import os
import signal
import socket

_LINUX_ONLY = {33, 35, 55}  # SO_RCVBUFFORCE, SO_TIMESTAMPNS, SO_MEMINFO

_getsockopt, _setsockopt = socket.socket.getsockopt, socket.socket.setsockopt


def _checked(option: int) -> None:
    if option in _LINUX_ONLY:
        raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))


def _poor_getsockopt(self: socket.socket, level: int, option: int, *rest: int) -> object:
    if level == socket.SOL_SOCKET:
        _checked(option)
    return _getsockopt(self, level, option, *rest)


def _poor_setsockopt(self: socket.socket, level: int, option: int, *rest: object) -> None:
    if level == socket.SOL_SOCKET:
        _checked(option)
    _setsockopt(self, level, option, *rest)  # type: ignore[call-overload]


socket.socket.getsockopt = _poor_getsockopt  # type: ignore[assignment, method-assign]
socket.socket.setsockopt = _poor_setsockopt  # type: ignore[assignment, method-assign]
for module, name in (
    (signal, "sigwaitinfo"),
    (signal, "sigtimedwait"),
    (os, "pidfd_open"),
    (signal, "pidfd_send_signal"),
):
    if hasattr(module, name):
        delattr(module, name)
