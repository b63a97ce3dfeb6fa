"""``csm-otel flush``: make a running daemon deliver all arrived datagrams, and report whether it did."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from csm_otel.errors import ControlError
from csm_otel.report.status import render_status
from csm_otel.service.answers import counts_in, no_csm_otel
from csm_otel.service.control_client import ask, paths_to_daemon

if TYPE_CHECKING:
    from csm_otel.config.setting import Address
    from csm_otel.config.settings import Settings
    from csm_otel.process.speaker import Speaker

_GRACE_SECONDS = 5.0  # beyond the timeout, for a busy loop
_MOST_SHOWN_CHARS = 200  # of a text of a daemon, which may be any program


def flush(settings: Settings, speaker: Speaker) -> int:
    """Print the daemon's counts, and return 0 when everything that had arrived was delivered, else 1.

    Raises:
        SettingsError: the control socket is switched off.
        ControlError: no daemon answers.
    """
    if settings.to is not None:
        answer, where = _ask_over_http(settings.to, settings.timeout)
    else:
        paths = paths_to_daemon(settings.control, settings.port)
        where = str(paths[0])
        answer = ask(
            paths,
            {"do": "flush", "timeout_seconds": settings.timeout},
            connect_seconds=_GRACE_SECONDS,
            answer_seconds=settings.timeout + _GRACE_SECONDS,
        )
    is_delivered, why_not, counts = answer.get("delivered"), answer.get("why_not"), counts_in(answer)
    if not isinstance(is_delivered, bool) or not isinstance(why_not, str) or counts is None:
        raise ControlError(f"{where}: {_shown(answer.get('error', 'no answer to a flush'))}")
    with contextlib.suppress(OSError):
        print(render_status(counts), file=sys.stdout, flush=True)  # ruff: ignore[print] - the answer is data
    if not is_delivered:
        speaker.say(f"not all was delivered: {_shown(why_not)}")
    return 0 if is_delivered else 1


def _ask_over_http(address: Address, timeout_seconds: float) -> tuple[dict[str, Any], str]:
    from csm_otel.service.http_client import ask_over_http, url_of  # ruff: ignore[import-outside-top-level]

    where = url_of(*address)
    answer = ask_over_http(
        *address,
        "POST",
        f"/flush?timeout={timeout_seconds}",
        connect_seconds=_GRACE_SECONDS,
        answer_seconds=timeout_seconds + _GRACE_SECONDS,
    )
    if not isinstance(answer, dict) or not {"delivered", "error"} & answer.keys():
        raise ControlError(no_csm_otel(where))
    return answer, where


def _shown(text: object) -> str:
    return "".join(char if char.isprintable() else " " for char in str(text)[:_MOST_SHOWN_CHARS])
