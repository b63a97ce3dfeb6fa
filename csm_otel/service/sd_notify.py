"""What systemd is told: ready, stopping, still alive, and a line of status (`ServiceManager`).

Source: sd_notify(3) and sd_watchdog_enabled(3): a datagram of ``NAME=value`` lines to a unix socket.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_US_PER_SECOND = 1_000_000


class ServiceManager:
    """Who started this process and wants to hear from it; one that cannot be reached changes nothing."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Read ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID``; without the first nobody is told."""
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address  # Linux's abstract names
        self._status = ""
        usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
        is_ours = pid in ("", str(os.getpid()))
        self.watchdog_seconds = int(usec) / _US_PER_SECOND if self._address and is_ours and usec.isdecimal() else 0.0
        """How long it bears silence; 0: for ever."""

    @property
    def listens(self) -> bool:
        """Whether anybody is told."""
        return bool(self._address)

    def ready(self) -> None:
        """Tell that datagrams are received from now on."""
        self._tell("READY=1")

    def stopping(self) -> None:
        """Tell that they no longer are."""
        self._tell("STOPPING=1")

    def alive(self, status: str) -> None:
        """Tell that the loop turns, and what there is to say of it."""
        lines = ["WATCHDOG=1"] if self.watchdog_seconds else []
        if status != self._status:
            self._status = status
            lines.append(f"STATUS={status}")
        if lines:
            self._tell("\n".join(lines))

    def _tell(self, text: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto(text.encode(), self._address)
