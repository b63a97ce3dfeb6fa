"""Notifications to systemd: ready, stopping, still alive, and a line of status (`ServiceManager`).

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
    """Sends notifications to the service manager, if there is one; failures are ignored."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Read ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID``; without the first nothing is sent."""
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address  # Linux's abstract names
        self._status = ""
        usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
        is_ours = pid in ("", str(os.getpid()))
        self.watchdog_seconds = int(usec) / _US_PER_SECOND if self._address and is_ours and usec.isdecimal() else 0.0
        """The watchdog's timeout; 0: there is none."""

    @property
    def is_present(self) -> bool:
        """Whether there is a service manager."""
        return bool(self._address)

    def ready(self) -> None:
        """Report that datagrams are received from now on."""
        self._notify("READY=1")

    def stopping(self) -> None:
        """Report that they no longer are."""
        self._notify("STOPPING=1")

    def keep_alive(self, status: str) -> None:
        """Reset the watchdog, and report the status if it has changed."""
        lines = ["WATCHDOG=1"] if self.watchdog_seconds else []
        if status != self._status:
            self._status = status
            lines.append(f"STATUS={status}")
        if lines:
            self._notify("\n".join(lines))

    def _notify(self, text: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto(text.encode(), self._address)
