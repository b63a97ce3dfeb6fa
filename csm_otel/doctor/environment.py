"""Check the ``AWS_CSM_`` variables for what disables, misdirects or breaks an SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.doctor.finding import Checked, Finding
from csm_otel.doctor.spellings import enabled_and_not
from csm_otel.doctor.values import DEFAULT_PORT, client_id_findings, host_findings, port_findings, token_findings
from csm_otel.errors import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from csm_otel.doctor.aws_files import Profiles

_ENABLED, _PORT = "AWS_CSM_ENABLED", "AWS_CSM_PORT"
_DIRECTIONS = (_PORT, "AWS_CSM_HOST", "AWS_CSM_CLIENT_ID")
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
    elif profiles.is_enabled(environ):
        pass
    elif is_listening:
        findings.append(
            Finding(
                "csm-not-enabled",
                f"csm-otel listens on port {port}, but {_ENABLED} is not set here",
                "SDKs send nothing unless CSM is enabled in the script's environment or AWS configuration.",
                _ENABLE,
            )
        )
    elif directions := [name for name in _DIRECTIONS if name in environ]:
        what = f"{' and '.join(directions)} {'is' if len(directions) == 1 else 'are'} set, but {_ENABLED} is not"
        findings.append(Finding("csm-not-enabled", what, "In no SDK do they enable CSM by themselves.", _ENABLE))
    if _PORT in environ:
        findings += port_findings(_PORT, environ[_PORT], port)
    elif is_listening and port != DEFAULT_PORT and not profiles.has_port(environ):
        findings.append(
            Finding(
                "csm-port-differs",
                f"{_PORT} is not set, but the daemon's port is {port}",
                f"SDKs send to port {DEFAULT_PORT}, where the daemon does not listen.",
                f"export {_PORT}={port}",
            )
        )
    findings += host_findings("AWS_CSM_HOST", environ.get("AWS_CSM_HOST", ""), resolves)
    findings += client_id_findings("AWS_CSM_CLIENT_ID", environ.get("AWS_CSM_CLIENT_ID", ""))
    findings += token_findings("AWS_SESSION_TOKEN", len(environ.get("AWS_SESSION_TOKEN", "")))
    state = f"{_ENABLED} is not set" if enabled is None else f"{_ENABLED} is {quoted(enabled)}"
    return Checked("environment", state, tuple(findings))


def _enabled_findings(text: str) -> list[Finding]:
    enabled, disabled = enabled_and_not(text)
    if not disabled:
        return []
    what = f"{_ENABLED} is {quoted(text)}"
    if not text:
        why = (
            "It disables CSM for boto3 and PHP; JavaScript, Go and Ruby read the AWS configuration, as if it was unset."
        )
        return [Finding("csm-disabled", what, why, _ENABLE)]
    if not enabled:
        why = "It disables CSM in every SDK but Ruby's, where a csm_enabled in the AWS configuration wins over it."
        return [Finding("csm-disabled", what, why, _ENABLE)]
    why = f"It enables CSM for {', '.join(enabled)}, but not for {', '.join(disabled)}."
    return [Finding("csm-enabled-value", what, why, _ENABLE)]
