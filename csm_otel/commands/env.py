"""``csm-otel env``: the variables that make scripts send to a running daemon, as a shell or GitHub reads them.

Standard library only: it is run at the start of a shell.
"""

from __future__ import annotations

import re
import shlex
import sys
from typing import TYPE_CHECKING

from csm_otel.commands.head_decision import is_root_sampled
from csm_otel.commands.launch import LOOPBACK, place_of
from csm_otel.csm.traceparent import client_id_with, name_in_client_id, split_client_id
from csm_otel.errors import Fault, SettingsError, reason_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from csm_otel.config.early import Early
    from csm_otel.config.settings import Settings
    from csm_otel.process.speaker import Speaker

_ENABLED, _HOST, _PORT, _CLIENT_ID = "AWS_CSM_ENABLED", "AWS_CSM_HOST", "AWS_CSM_PORT", "AWS_CSM_CLIENT_ID"
_LOOPBACK_OF = {"": LOOPBACK, "0.0.0.0": LOOPBACK, "::": "::1"}  # ruff: ignore[hardcoded-bind-all-interfaces] - of the daemon, which cannot be sent to


def env(settings: Settings, early: Early, environ: Mapping[str, str], speaker: Speaker) -> int:
    """Print the variables, and return 0, or 1 if they cannot be printed.

    Raises:
        SettingsError: nothing can be sent to the port, or the host is not printable.
    """
    if settings.unset:
        text = _unset(settings.format)
    else:
        text = "".join(f"{line}\n" for line in _lines(settings.format, _variables(settings, early, environ, speaker)))
    if sys.stdout is None:
        speaker.say("stdout is closed")
        return 1
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        speaker.say(f"stdout: {reason_of(error, 'cannot be written')}")
        return 1
    return 0


def _variables(settings: Settings, early: Early, environ: Mapping[str, str], speaker: Speaker) -> dict[str, str]:
    host = _LOOPBACK_OF.get(settings.host, settings.host)
    if not settings.port:
        raise SettingsError([Fault("--port", "0 is no port to send to")])
    if not re.fullmatch(r"[\w.:%-]+", host, re.ASCII):
        raise SettingsError([Fault("--host", "neither an address nor a host name")])
    if ":" in host:
        speaker.say(f"{_HOST}={host}: over IPv6 boto3, JavaScript and PHP send nothing, and with Ruby every call fails")
    variables = {_ENABLED: "true", _HOST: host, _PORT: str(settings.port)}
    inherited, _ = split_client_id(environ.get(_CLIENT_ID, ""))
    name = early.name or inherited or early.service_name
    place = place_of(environ, early)
    for line in place.troubles:
        speaker.say(line)
    if (parent := place.parent) is not None:
        sampled = is_root_sampled(early.sampler, parent.trace_id, parent_sampled=place.sampled)
        variables[_CLIENT_ID] = client_id_with(name, parent._replace(sampled=sampled))
    elif place.trace_id is not None:
        speaker.say(f"--join {early.join}: there is no span that calls could be below; csm-otel exec can join")
    if parent is None and name:
        variables[_CLIENT_ID] = name_in_client_id(name)
    return variables


def _lines(kind: str, variables: Mapping[str, str]) -> list[str]:
    if kind == "github":  # no value has a line break
        return [f"{name}={value}" for name, value in variables.items()]
    if kind == "fish":
        return [f"set -gx {name} {_fish_quoted(value)}" for name, value in variables.items()]
    return [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]


def _unset(kind: str) -> str:
    if kind == "github":  # a variable can be changed there, not removed
        return f"{_ENABLED}=false\n"
    names = f"{_ENABLED} {_HOST} {_PORT} {_CLIENT_ID}"
    return f"set -e {names}\n" if kind == "fish" else f"unset {names}\n"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
