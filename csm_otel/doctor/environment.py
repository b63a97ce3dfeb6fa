"""Check the ``AWS_CSM_`` variables for what disables, misdirects or breaks an SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.doctor.finding import Checked, Finding
from csm_otel.doctor.spellings import enabled_and_not
from csm_otel.doctor.values import client_id_findings, host_findings, port_findings
from csm_otel.errors import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from csm_otel.doctor.profiles import Profiles

_ENABLED, _PORT = "AWS_CSM_ENABLED", "AWS_CSM_PORT"
_DEFAULT_PORT = 31_000  # of all SDKs
_LONGEST_TOKEN = 6_500  # of the 8,192 bytes of a datagram; names, user agent and messages take up to 1.5 kB
_ENABLE = "export AWS_CSM_ENABLED=true"


def check_environment(
    environ: Mapping[str, str], profiles: Profiles, *, port: int, is_listening: bool, resolves: Callable[[str], bool]
) -> Checked:
    """Return the findings about the variables that a script started here would inherit.

    A daemon that listens at ``port`` needs CSM to be enabled; without one `exec` enables it.
    """
    findings = []
    enabled = environ.get(_ENABLED)
    if enabled is not None:
        findings += _enabled_findings(enabled)
    elif is_listening and not profiles.is_enabled:
        findings.append(
            Finding(
                "csm-not-enabled",
                f"csm-otel listens on port {port}, but {_ENABLED} is not set here",
                "SDKs send nothing unless CSM is enabled in the script's environment or AWS configuration.",
                _ENABLE,
            )
        )
    if _PORT in environ:
        findings += port_findings(_PORT, environ[_PORT], port)
    elif is_listening and port != _DEFAULT_PORT and not profiles.has_port:
        findings.append(
            Finding(
                "csm-port-differs",
                f"{_PORT} is not set, but the daemon's port is {port}",
                f"SDKs send to port {_DEFAULT_PORT}, where the daemon does not listen.",
                f"export {_PORT}={port}",
            )
        )
    findings += host_findings("AWS_CSM_HOST", environ.get("AWS_CSM_HOST", ""), resolves)
    findings += client_id_findings("AWS_CSM_CLIENT_ID", environ.get("AWS_CSM_CLIENT_ID", ""))
    findings += _token_findings(environ.get("AWS_SESSION_TOKEN", ""))
    state = f"{_ENABLED} is not set" if enabled is None else f"{_ENABLED} is {quoted(enabled)}"
    return Checked("environment", state, tuple(findings))


def _token_findings(token: str) -> list[Finding]:
    if len(token) <= _LONGEST_TOKEN:
        return []
    return [
        Finding(
            "session-token-too-long",
            f"AWS_SESSION_TOKEN has {len(token)} characters",
            "SDKs send it with each attempt, and boto3, JavaScript and Java drop datagrams of more than 8,192 bytes: "
            "calls appear without their attempts.",
            "use credentials with a shorter token: fewer or shorter session tags and policies",
        )
    ]


def _enabled_findings(text: str) -> list[Finding]:
    enabled, disabled = enabled_and_not(text)
    if not disabled:
        return []
    what = f"{_ENABLED} is {quoted(text)}"
    if not enabled:
        why = "It disables CSM in every SDK but Ruby's, where a csm_enabled in the AWS configuration wins over it."
        return [Finding("csm-disabled", what, why, _ENABLE)]
    why = f"It enables CSM for {', '.join(enabled)}, but not for {', '.join(disabled)}."
    return [Finding("csm-enabled-value", what, why, _ENABLE)]
