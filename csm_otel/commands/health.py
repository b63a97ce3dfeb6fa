"""``csm-otel health``: whether a running daemon is alive or ready, for probes that run a command.

It asks over HTTP where the daemon has a port for that (``--health``), else by the control socket. Standard library
only: a probe starts every few seconds, and has a second by default in Kubernetes.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import sys
from typing import TYPE_CHECKING, Any

from csm_otel.errors import ControlError, address_text, reason_of
from csm_otel.report.status import render_status
from csm_otel.service.control_client import ANSWER_BYTES, LEAST_SECONDS, ask, paths_to_daemon
from csm_otel.service.state import STATES, is_alive, is_ready
from csm_otel.tally import Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from csm_otel.config.setting import Address
    from csm_otel.config.settings import Settings

_TROUBLE = re.compile(r"[a-z ]{1,40}")
_MOST_TROUBLES = 8  # there are fewer
_LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # ruff: ignore[hardcoded-bind-all-interfaces] - where to connect to


def health(settings: Settings) -> int:
    """Print the daemon's state, troubles and counts on one line, and return 0 if it is as asked for, else 1.

    Raises:
        SettingsError: there is neither a port nor a control socket to ask.
        ControlError: no daemon answers.
    """
    if settings.health is not None and settings.health.port:
        where = f"http://{address_text(*settings.health)}"
        answer = _ask_over_http(settings.health, where, settings.timeout)
    else:
        paths = paths_to_daemon(settings.control, settings.port)
        where = str(paths[0])
        answer = ask(paths, {"do": "health"}, connect_seconds=settings.timeout, answer_seconds=settings.timeout)
    state, line = _read(answer, where)
    with contextlib.suppress(OSError):
        print(line, file=sys.stdout, flush=True)  # ruff: ignore[print] - the answer is data
    is_as_asked = is_ready(state) if settings.check == "ready" else is_alive(state)
    return 0 if is_as_asked else 1


def _ask_over_http(address: Address, where: str, timeout_seconds: float) -> Any:
    host = _LOOPBACK_OF.get(address.host, address.host)
    connection = http.client.HTTPConnection(host, address.port, timeout=max(timeout_seconds, LEAST_SECONDS))
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/readyz")
            body = connection.getresponse().read(ANSWER_BYTES)
        except http.client.HTTPException as error:
            raise ControlError(_no_state(where)) from error
        except (OSError, ValueError) as error:  # the latter: a host that has no form in DNS
            reason = "no answer" if isinstance(error, TimeoutError) else reason_of(error, "not a host name")
            raise ControlError(f"no daemon answers: {where}: {reason}") from error
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ControlError(_no_state(where)) from error


def _read(answer: Any, where: str) -> tuple[str, str]:
    """Return the state and the line of an answer, of which nothing unknown is shown: it may be any program's.

    Raises:
        ControlError: it is no daemon's answer.
    """
    if not isinstance(answer, dict) or answer.get("status") not in STATES:
        raise ControlError(_no_state(where))
    state = str(answer["status"])
    given = answer.get("troubles")
    troubles = given[:_MOST_TROUBLES] if isinstance(given, list) else []
    shown = ", ".join(one for one in troubles if isinstance(one, str) and _TROUBLE.fullmatch(one))
    counts = _counts(answer)
    words = f"{state} ({shown})" if shown else state
    return state, f"{words}: {render_status(counts)}" if counts else words


def _counts(answer: Mapping[str, Any]) -> Snapshot | None:
    """Return the counts of an answer, or None if there are none yet."""
    values: dict[str, Any] = {name: answer.get(name) for name in Snapshot._fields}
    dropped = values.pop("datagrams_dropped_by_kernel")
    if not isinstance(dropped, int | None) or not all(isinstance(value, int) for value in values.values()):
        return None
    return Snapshot(datagrams_dropped_by_kernel=dropped, **values)


def _no_state(where: str) -> str:
    return f"{where}: what answers there is no csm-otel, or an older one"
