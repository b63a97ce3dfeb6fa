"""A request to a running daemon by its control socket, see `csm_otel.service.control`: `ask`.

Standard library only, as probes start often.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from csm_otel.errors import ControlError, Fault, SettingsError
from csm_otel.service import control_socket

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ANSWER_BYTES = 65_536
LEAST_SECONDS = 0.001  # a socket reads 0 as non-blocking


def paths_to_daemon(control: Path | None, port: int) -> list[Path]:
    """Return the paths at which the daemon may listen, by its settings.

    Raises:
        SettingsError: the control socket is switched off.
        ControlError: there is no such path.
    """
    if control_socket.is_off(control):
        raise SettingsError([Fault("--control", "it is switched off, so no daemon can be reached")])
    if control is not None:
        return [control]
    paths = control_socket.default_paths(port)
    if not paths:
        raise ControlError("no daemon answers: there is no runtime or temporary folder; name its socket with --control")
    return [path for path in paths if os.access(path, os.F_OK)] or paths[:1]


def ask(
    paths: Sequence[Path], request: Mapping[str, object], *, connect_seconds: float, answer_seconds: float
) -> dict[str, Any]:
    """Return the answer of the first daemon that is reached.

    Raises:
        ControlError: none is reached, or it does not answer.
    """
    errors = []
    for path in paths:
        try:
            sock = control_socket.connect(path, timeout_seconds=max(connect_seconds, LEAST_SECONDS))
        except ControlError as error:
            errors.append(error)
            continue
        with sock:
            return _answer(sock, path, request, answer_seconds)
    raise ControlError(f"no daemon answers: {'; '.join(map(str, errors))}")


def _answer(sock: socket.socket, path: Path, request: Mapping[str, object], seconds: float) -> dict[str, Any]:
    try:
        sock.sendall(f"{json.dumps(request)}\n".encode())
        answer = json.loads(_line(sock, time.monotonic() + seconds))
    except (OSError, ValueError, RecursionError) as error:
        raise ControlError(f"the daemon at {path} does not answer") from error
    if not isinstance(answer, dict):
        raise ControlError(f"the daemon at {path} does not answer")
    return answer


def _line(sock: socket.socket, deadline: float) -> bytes:
    line = b""
    while not line.endswith(b"\n") and len(line) < ANSWER_BYTES:
        sock.settimeout(max(deadline - time.monotonic(), LEAST_SECONDS))
        if not (piece := sock.recv(ANSWER_BYTES)):
            break
        line += piece
    return line
