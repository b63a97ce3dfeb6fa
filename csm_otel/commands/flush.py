"""``csm-otel flush``: make a running daemon deliver all arrived datagrams, and report whether it did."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from csm_otel.errors import ControlError
from csm_otel.report.status import render_status
from csm_otel.service.control_client import ask, paths_to_daemon
from csm_otel.tally import Snapshot

if TYPE_CHECKING:
    from csm_otel.config.settings import Settings
    from csm_otel.process.speaker import Speaker

_GRACE_SECONDS = 5.0  # beyond the timeout, for a busy loop


def flush(settings: Settings, speaker: Speaker) -> int:
    """Print the daemon's counts, and return 0 when everything that had arrived was delivered, else 1.

    Raises:
        SettingsError: the control socket is switched off.
        ControlError: no daemon answers.
    """
    paths = paths_to_daemon(settings.control, settings.port)
    answer = ask(
        paths,
        {"do": "flush", "timeout_seconds": settings.timeout},
        connect_seconds=_GRACE_SECONDS,
        answer_seconds=settings.timeout + _GRACE_SECONDS,
    )
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
