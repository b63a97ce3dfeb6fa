"""What an `exec` tells the receiver whose place it took for its command: how many calls it has seen.

Without it an outer `exec` would say that there were no calls. The variables of CSM are all that is passed on, so the
receiver is told by a datagram.
"""

from __future__ import annotations

import contextlib
import re
import socket
from typing import TYPE_CHECKING

from csm_otel.csm.traceparent import split_client_id

if TYPE_CHECKING:
    from collections.abc import Mapping

_REPORT = re.compile(rb"csm-otel exec saw (\d{1,12}) calls")
_BEGINNING = b"csm-otel "
_LOOPBACK = "127.0.0.1"
_HIGHEST_PORT = 65_535


def receiver_in(environ: Mapping[str, str]) -> tuple[str, int] | None:
    """Return the address of the csm-otel that an environment makes SDKs send to, or None.

    Only csm-otel asks for a trace context in the client id. Another daemon would only be confused by a report.
    """
    port = environ.get("AWS_CSM_PORT", "")
    is_csm_otel = split_client_id(environ.get("AWS_CSM_CLIENT_ID", ""))[1] is not None
    is_on = (environ.get("AWS_CSM_ENABLED"), environ.get("AWS_CSM_HOST")) == ("true", _LOOPBACK)
    if not (is_csm_otel and is_on and port.isascii() and port.isdecimal() and len(port) <= len(str(_HIGHEST_PORT))):
        return None
    return (_LOOPBACK, int(port)) if 0 < int(port) <= _HIGHEST_PORT else None


def report_calls(receiver: tuple[str, int], calls: int) -> None:
    """Tell a receiver that so many calls were seen instead of by it; a failure to do so costs only the report."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.sendto(b"csm-otel exec saw %d calls" % calls, receiver)


def reported_calls(payload: bytes) -> int | None:
    """Return the number of calls in a report, or None if a datagram is none."""
    if not payload.startswith(_BEGINNING):
        return None
    found = _REPORT.fullmatch(payload)
    return int(found[1]) if found else None
