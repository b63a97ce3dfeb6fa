"""Check the AWS configuration files for the sections that SDKs read CSM's settings from."""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.doctor.finding import Checked, Finding
from csm_otel.doctor.spellings import enabled_and_not
from csm_otel.doctor.values import client_id_findings, host_findings, port_findings
from csm_otel.errors import quoted, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CSM = "aws_csm"
_DEFAULT = "default"
_LARGEST_BYTES = 4 * 1024**2  # a file of profiles has kilobytes
_Sections = dict[str, dict[str, str]]


class Profiles(NamedTuple):
    """The CSM settings of the configuration and credentials files."""

    active: str
    """The name of the profile that most SDKs use."""
    names: frozenset[str]
    """Of all profiles."""
    settings: Mapping[str, Mapping[str, str]]
    """By profile, its keys that begin with ``csm_``."""
    unreadable: tuple[Finding, ...]

    @property
    def is_enabled(self) -> bool:
        """Whether any profile that an SDK reads enables CSM for some of them."""
        return any(enabled_and_not(self.settings.get(name, {}).get("csm_enabled", ""))[0] for name in self._read)

    @property
    def has_port(self) -> bool:
        """Whether any profile that an SDK reads has a port."""
        return any("csm_port" in self.settings.get(name, {}) for name in self._read)

    @property
    def _read(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.active, _CSM)))


def read_profiles(environ: Mapping[str, str], home: Path) -> Profiles:
    """Read both files where the SDKs look for them."""
    config = _path(environ, "AWS_CONFIG_FILE", home / ".aws/config", home)
    credentials = _path(environ, "AWS_SHARED_CREDENTIALS_FILE", home / ".aws/credentials", home)
    unreadable: list[Finding] = []
    sections: _Sections = {}
    for path, variable in ((credentials, "AWS_SHARED_CREDENTIALS_FILE"), (config, "AWS_CONFIG_FILE")):
        for name, keys in _sections_of(path, unreadable, variable if environ.get(variable) else "").items():
            sections.setdefault(name.removeprefix("profile ").strip(), {}).update(keys)
    active = environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE") or _DEFAULT
    settings = {name: keys for name, keys in sections.items() if keys}
    return Profiles(active, frozenset(sections), settings, tuple(unreadable))


def check_profiles(
    environ: Mapping[str, str], profiles: Profiles, *, port: int, resolves: Callable[[str], bool]
) -> Checked:
    """Return the findings about the profiles that some SDK reads for this environment."""
    findings = [*profiles.unreadable]
    active = profiles.active
    if active not in profiles.names and active != _DEFAULT:
        findings.append(
            Finding(
                "profile-missing",
                f"AWS_PROFILE names a profile that no file has: {quoted(active)}",
                "boto3 and the AWS CLI fail before their first call, so nothing is traced.",
                "unset AWS_PROFILE, or add the profile: aws configure --profile NAME",
            )
        )
    used = {name: profiles.settings[name] for name in (active, _CSM) if name in profiles.settings}
    for name, keys in used.items():
        findings += _value_findings(name, keys, environ, port, resolves)
    if "AWS_CSM_ENABLED" not in environ:
        findings += _partial_findings(active, used)
    state = ", ".join(map(quoted, used)) or "none"
    return Checked("profiles", f"the active one is {quoted(active)}; with settings of CSM: {state}", tuple(findings))


def _value_findings(
    name: str, keys: Mapping[str, str], environ: Mapping[str, str], port: int, resolves: Callable[[str], bool]
) -> list[Finding]:
    """Return the findings about the values of a profile; a variable wins over its key."""
    findings = []
    if "csm_port" in keys and "AWS_CSM_PORT" not in environ:
        findings += port_findings(_where("csm_port", name), keys["csm_port"], port)
    if "AWS_CSM_HOST" not in environ:
        findings += host_findings(_where("csm_host", name), keys.get("csm_host", ""), resolves)
    if "AWS_CSM_CLIENT_ID" not in environ:
        findings += client_id_findings(_where("csm_client_id", name), keys.get("csm_client_id", ""))
    if "csm_enabled" not in keys:
        return findings
    enabled, disabled = enabled_and_not(keys["csm_enabled"])
    variable = environ.get("AWS_CSM_ENABLED")
    what = f"{_where('csm_enabled', name)} is {quoted(keys['csm_enabled'])}"
    fix = f"set it to true: aws configure set csm_enabled true --profile {quoted(name)}"
    if variable is None and enabled and disabled:
        why = f"It enables CSM for {', '.join(enabled)}, but not for {', '.join(disabled)}."
        findings.append(Finding("csm-enabled-value", what, why, fix))
    elif variable is not None and bool(enabled_and_not(variable)[0]) != bool(enabled):
        why = "AWS_CSM_ENABLED says otherwise. It wins in all SDKs but Ruby's, which enables CSM if a file has the key."
        findings.append(Finding("csm-profile-conflict", what, why, "let both say the same, or remove the key"))
    return findings


def _partial_findings(active: str, used: Mapping[str, Mapping[str, str]]) -> list[Finding]:
    """Return a finding if one of the two sections enables CSM, and the other does not."""
    enables = {name for name in (active, _CSM) if enabled_and_not(used.get(name, {}).get("csm_enabled", ""))[0]}
    missing = [name for name in dict.fromkeys((active, _CSM)) if name not in enables]
    if not enables or not missing:
        return []
    (name,) = missing
    readers = "Go, and PHP without AWS_PROFILE, read" if name == _CSM else "boto3, the AWS CLI and others read"
    section = f"[{name}]" if name == _DEFAULT else f"[profile {name}]"
    return [
        Finding(
            "csm-profile-partial",
            f"CSM is enabled in the profile {', '.join(map(quoted, enables))}, but not in {quoted(name)}",
            f"{readers} only the latter.",
            f"add csm_enabled = true to the section {quoted(section)} as well, or export AWS_CSM_ENABLED=true",
        )
    ]


def _where(key: str, profile: str) -> str:
    return f"{key} of the profile {quoted(profile)}"


def _path(environ: Mapping[str, str], variable: str, default: Path, home: Path) -> Path:
    given = environ.get(variable, "")
    if given.startswith("~/"):
        return home / given[2:]
    return Path(given) if given else default


def _sections_of(path: Path, unreadable: list[Finding], variable: str) -> _Sections:
    """Return the CSM keys of each section of a file; a file that cannot be read is added to ``unreadable``.

    One that does not exist is, if a ``variable`` names it.
    """
    parser = configparser.RawConfigParser(default_section="")  # as botocore's (configloader.py)
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            parser.read_string(file.read(_LARGEST_BYTES))
    except FileNotFoundError:
        if variable:
            unreadable.append(_unreadable(variable, "it does not exist", f"unset {variable}"))
        return {}
    except (OSError, ValueError) as error:
        unreadable.append(_unreadable(variable or str(path), reason_of(error), "check its permissions"))
        return {}
    except configparser.Error:  # its text has lines of the file
        unreadable.append(_unreadable(variable or str(path), "it is not in INI format", "correct the file"))
        return {}
    return {
        name: {key: value for key, value in parser[name].items() if key.startswith("csm_")}
        for name in parser.sections()
    }


def _unreadable(name: str, reason: str, fix: str) -> Finding:
    why = "SDKs read no profile from it; boto3 and the AWS CLI fail if it is not in INI format."
    return Finding("aws-config-unreadable", f"the file of {quoted(name)} cannot be read: {reason}", why, fix)
