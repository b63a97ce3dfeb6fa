"""``csm-otel flush``: make a running daemon deliver all arrived datagrams, and report whether it did."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from csm_otel.errors import ControlError, Fault, SettingsError
from csm_otel.report.status import render_status
from csm_otel.service import control_socket
from csm_otel.tally import Snapshot

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from pathlib import Path

    from csm_otel.config.settings import Settings
    from csm_otel.process.speaker import Speaker

_ANSWER_BYTES = 65_536
_LEAST_SECONDS = 0.001  # a socket reads 0 as non-blocking
_GRACE_SECONDS = 5.0  # beyond the timeout, for a busy loop


def flush(settings: Settings, speaker: Speaker) -> int:
    """Print the daemon's counts, and return 0 when everything that had arrived was delivered, else 1.

    Raises:
        SettingsError: the control socket is switched off.
        ControlError: no daemon answers.
    """
    if control_socket.is_off(settings.control):
        raise SettingsError([Fault("--control", "it is switched off, so no daemon can be reached")])
    paths = [settings.control] if settings.control is not None else control_socket.default_paths(settings.port)
    answer = _ask(paths, settings.timeout)
    try:
        is_delivered, why_not = bool(answer["delivered"]), str(answer["why_not"])
        counts = Snapshot(**{name: answer[name] for name in Snapshot._fields})
    except KeyError as error:
        raise ControlError(f"{paths[0]}: {answer.get('error', 'no answer to a flush')}") from error
    with contextlib.suppress(OSError):
        print(render_status(counts), file=sys.stdout, flush=True)  # ruff: ignore[print] - the answer is data
    if not is_delivered:
        speaker.say(f"not all was delivered: {why_not}")
    return 0 if is_delivered else 1


def _ask(paths: Sequence[Path], timeout_seconds: float) -> dict[str, Any]:
    """Return the answer of the first daemon that is reached.

    Raises:
        ControlError: none is reached.
    """
    errors = []
    for path in paths:
        try:
            sock = control_socket.connect(path, timeout_seconds=_GRACE_SECONDS)
        except ControlError as error:
            errors.append(error)
            continue
        with sock:
            return _answer(sock, path, timeout_seconds)
    raise ControlError(f"no daemon answers: {'; '.join(map(str, errors))}")


def _answer(sock: socket.socket, path: Path, timeout_seconds: float) -> dict[str, Any]:
    asked = {"do": "flush", "timeout_seconds": timeout_seconds}
    try:
        sock.sendall(f"{json.dumps(asked)}\n".encode())
        answer = json.loads(_line(sock, time.monotonic() + timeout_seconds + _GRACE_SECONDS))
    except (OSError, ValueError) as error:
        raise ControlError(f"the daemon at {path} does not answer") from error
    if not isinstance(answer, dict):
        raise ControlError(f"the daemon at {path} does not answer")
    return answer


def _line(sock: socket.socket, deadline: float) -> bytes:
    line = b""
    while not line.endswith(b"\n") and len(line) < _ANSWER_BYTES:
        sock.settimeout(max(deadline - time.monotonic(), _LEAST_SECONDS))
        if not (piece := sock.recv(_ANSWER_BYTES)):
            break
        line += piece
    return line
