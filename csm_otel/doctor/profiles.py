"""Check the sections of the AWS configuration files that SDKs read CSM's settings from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.doctor.finding import Checked, Finding
from csm_otel.doctor.readers import CONFIG, CSM_SECTION, DEFAULT_SECTION, readers_of
from csm_otel.doctor.spellings import GO, enabled_and_not, enabled_by_key, is_true_for
from csm_otel.doctor.values import DEFAULT_PORT, client_id_findings, host_findings, port_findings, token_findings
from csm_otel.errors import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from csm_otel.doctor.aws_files import Profiles
    from csm_otel.doctor.readers import Reader


def check_profiles(
    environ: Mapping[str, str], profiles: Profiles, *, port: int, resolves: Callable[[str], bool]
) -> Checked:
    """Return the findings about the profiles that some SDK reads for this environment."""
    findings = [*profiles.unreadable, *_name_findings(environ, profiles)]
    readers = readers_of(environ)
    used = {reader.section: keys for reader in readers if (keys := profiles.keys_of(reader))}
    for name, keys in used.items():
        findings += _value_findings(name, keys, environ, port, resolves)
        sdks = [reader.sdk for reader in readers if reader.section == name and profiles.keys_of(reader)]
        findings += _enabled_findings(name, keys.get("csm_enabled"), environ, sdks)
    if "AWS_SESSION_TOKEN" not in environ:
        where = f"aws_session_token of the profile {quoted(profiles.active)}"
        findings += token_findings(where, profiles.token_length)
    if "AWS_CSM_ENABLED" not in environ:
        findings += _partial_findings(profiles, readers)
    if port != DEFAULT_PORT:
        findings += _port_findings(profiles, readers, environ, port)
    state = ", ".join(map(quoted, used)) or "none"
    return Checked(
        "profiles", f"the active one is {quoted(profiles.active)}; with settings of CSM: {state}", (*findings,)
    )


def _name_findings(environ: Mapping[str, str], profiles: Profiles) -> Iterator[Finding]:
    """Yield the findings about the variables that choose a profile."""
    active, named = profiles.active, environ.get("AWS_PROFILE")
    variable = "AWS_PROFILE" if active == named else "AWS_DEFAULT_PROFILE"
    if active not in profiles.names and active != DEFAULT_SECTION:
        yield Finding(
            "profile-missing",
            f"{variable} names a profile that no file has: {quoted(active)}",
            "boto3 and the AWS CLI fail before their first call, so nothing is traced.",
            f"unset {variable}, or add the profile: aws configure --profile NAME",
        )
    if named and named != active:
        yield Finding(
            "profile-ambiguous",
            f"AWS_DEFAULT_PROFILE is {quoted(active)}, AWS_PROFILE is {quoted(named)}",
            "boto3 and the AWS CLI use the former, other SDKs the latter.",
            "unset AWS_DEFAULT_PROFILE",
        )


def _value_findings(
    name: str, keys: Mapping[str, str], environ: Mapping[str, str], port: int, resolves: Callable[[str], bool]
) -> Iterator[Finding]:
    """Yield the findings about the values of a profile; a variable wins over its key."""
    if "csm_port" in keys and "AWS_CSM_PORT" not in environ:
        yield from port_findings(_where("csm_port", name), keys["csm_port"], port)
    if "AWS_CSM_HOST" not in environ:
        yield from host_findings(_where("csm_host", name), keys.get("csm_host", ""), resolves)
    if "AWS_CSM_CLIENT_ID" not in environ:
        yield from client_id_findings(_where("csm_client_id", name), keys.get("csm_client_id", ""))


def _enabled_findings(
    name: str, text: str | None, environ: Mapping[str, str], sdks: Sequence[str]
) -> Iterator[Finding]:
    """Yield the findings about csm_enabled of a profile, which these SDKs read."""
    if text is None:
        return
    enabled, disabled = enabled_by_key(text, sdks)
    variable = environ.get("AWS_CSM_ENABLED")
    what = f"{_where('csm_enabled', name)} is {quoted(text)}"
    fix = f"set it to true: aws configure set csm_enabled true --profile {quoted(name)}"
    if variable is None and enabled and disabled:
        why = f"It enables CSM for {', '.join(enabled)}, but not for {', '.join(disabled)}."
        yield Finding("csm-enabled-value", what, why, fix)
    elif variable is not None and bool(enabled_and_not(variable)[0]) != bool(enabled_and_not(text)[0]):
        why = "AWS_CSM_ENABLED says otherwise. It wins in all SDKs but Ruby's, which enables CSM if a file has the key."
        yield Finding("csm-profile-conflict", what, why, "let both say the same, or remove the key")


def _partial_findings(profiles: Profiles, readers: Sequence[Reader]) -> Iterator[Finding]:
    """Yield a finding if some SDKs find a section that enables CSM, and others none about it."""
    found = [reader for reader in readers if "csm_enabled" in profiles.keys_of(reader)]
    missing = [reader for reader in readers if reader not in found]
    if not any(profiles.enables(one, {}) for one in found):
        return
    in_config = profiles.files.get(CONFIG, {}).get(CSM_SECTION, {}).get("csm_enabled", "")
    for reader in missing:
        if reader.sdk == GO and is_true_for(GO, in_config):
            missing = [one for one in missing if one is not reader]
            yield Finding(
                "csm-go-load-config",
                f"Go does not read the section {quoted(CSM_SECTION)} of the config file, which enables CSM",
                "Version 1 of its SDK reads the credentials file only, unless AWS_SDK_LOAD_CONFIG is set.",
                "export AWS_SDK_LOAD_CONFIG=1, or export AWS_CSM_ENABLED=true",
            )
    if missing:
        yield Finding(
            "csm-profile-partial",
            f"the AWS configuration enables CSM for {_names(found)}, but not for {_names(missing)}",
            f"{'; '.join(reader.where for reader in missing)}.",
            "export AWS_CSM_ENABLED=true, or add csm_enabled = true to these sections as well",
        )


def _port_findings(
    profiles: Profiles, readers: Sequence[Reader], environ: Mapping[str, str], port: int
) -> Iterator[Finding]:
    """Yield a finding if some of the SDKs that CSM is enabled for find a port, and others none."""
    variable = environ.get("AWS_CSM_ENABLED")
    enabled = [
        reader
        for reader in readers
        if (is_true_for(reader.sdk, variable) if variable else profiles.enables(reader, environ))
    ]
    found = [reader for reader in enabled if profiles.finds_port(reader, environ)]
    missing = [reader for reader in enabled if reader not in found]
    if found and missing:
        yield Finding(
            "csm-port-partial",
            f"the port of CSM is set for {_names(found)}, but not for {_names(missing)}",
            f"The latter send to port {DEFAULT_PORT}. Go, PHP, Java and .NET take all settings of CSM from variables "
            "if AWS_CSM_ENABLED is set, and all from files if it is not.",
            f"export AWS_CSM_ENABLED=true AWS_CSM_PORT={port}",
        )


def _names(readers: Sequence[Reader]) -> str:
    return ", ".join(reader.sdk for reader in readers)


def _where(key: str, profile: str) -> str:
    return f"{key} of the profile {quoted(profile)}"
