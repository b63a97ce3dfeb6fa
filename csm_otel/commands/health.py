"""``csm-otel health``: whether a running daemon is alive or ready, for probes that run a command.

It asks over HTTP where the daemon has a port for that (``--health``), else by the control socket. Standard library
only: a probe starts every few seconds, and has a second by default in Kubernetes.
"""

from __future__ import annotations

import contextlib
import re
import sys
from typing import TYPE_CHECKING, Any

from csm_otel.errors import ControlError
from csm_otel.report.status import render_status
from csm_otel.service.answers import counts_in, no_csm_otel
from csm_otel.service.control_client import ask, paths_to_daemon
from csm_otel.service.http_client import ask_over_http, url_of
from csm_otel.service.state import STATES, is_alive, is_ready

if TYPE_CHECKING:
    from csm_otel.config.settings import Settings

_TROUBLE = re.compile(r"[a-z ]{1,40}")
_MOST_TROUBLES = 8  # there are fewer


def health(settings: Settings) -> int:
    """Print the daemon's state, troubles and counts on one line, and return 0 if it is as asked for, else 1.

    Raises:
        SettingsError: there is neither a port nor a control socket to ask.
        ControlError: no daemon answers.
    """
    if settings.health is not None and settings.health.port:
        where, seconds = url_of(*settings.health), settings.timeout
        answer = ask_over_http(*settings.health, "GET", "/readyz", connect_seconds=seconds, answer_seconds=seconds)
    else:
        paths = paths_to_daemon(settings.control, settings.port)
        where = str(paths[0])
        answer = ask(paths, {"do": "health"}, connect_seconds=settings.timeout, answer_seconds=settings.timeout)
    state, line = _read(answer, where)
    with contextlib.suppress(OSError):
        print(line, file=sys.stdout, flush=True)  # ruff: ignore[print] - the answer is data
    is_as_asked = is_ready(state) if settings.check == "ready" else is_alive(state)
    return 0 if is_as_asked else 1


def _read(answer: Any, where: str) -> tuple[str, str]:
    """Return the state and the line of an answer, of which nothing unknown is shown: it may be any program's.

    Raises:
        ControlError: it is no daemon's answer.
    """
    if not isinstance(answer, dict) or answer.get("status") not in STATES:
        raise ControlError(no_csm_otel(where))
    state = str(answer["status"])
    given = answer.get("troubles")
    troubles = given[:_MOST_TROUBLES] if isinstance(given, list) else []
    shown = ", ".join(one for one in troubles if isinstance(one, str) and _TROUBLE.fullmatch(one))
    counts = counts_in(answer)
    words = f"{state} ({shown})" if shown else state
    return state, f"{words}: {render_status(counts)}" if counts else words
