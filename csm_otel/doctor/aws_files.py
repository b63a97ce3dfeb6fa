"""Read the AWS configuration files, as far as doctor needs them: `read_profiles`."""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.doctor.finding import Finding
from csm_otel.doctor.readers import CONFIG, CREDENTIALS, active_profile, readers_of, reads_files, reads_variables
from csm_otel.doctor.spellings import enabled_by_key
from csm_otel.errors import quoted, reason_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from csm_otel.doctor.readers import Reader

_FILES = {CONFIG: "AWS_CONFIG_FILE", CREDENTIALS: "AWS_SHARED_CREDENTIALS_FILE"}
_LARGEST_BYTES = 4 * 1024**2  # a file of profiles has kilobytes
_TOKEN = "aws_session_token"  # ruff: ignore[hardcoded-password-string] - the name of a key
_Sections = dict[str, dict[str, str]]


class Profiles(NamedTuple):
    """The CSM settings of the configuration and credentials files."""

    active: str
    """The name of the profile that boto3 and the AWS CLI use."""
    names: frozenset[str]
    """Of all profiles."""
    files: Mapping[str, Mapping[str, Mapping[str, str]]]
    """By file and profile, its keys that begin with ``csm_``."""
    token_length: int
    """The most characters that a session token of the active profile has; 0 without one."""
    unreadable: tuple[Finding, ...]

    def keys_of(self, reader: Reader) -> dict[str, str]:
        """Return the settings that an SDK finds in the files."""
        keys: dict[str, str] = {}
        for file in reversed(reader.files):
            keys |= self.files.get(file, {}).get(reader.section, {})
        return keys

    def enables(self, reader: Reader, environ: Mapping[str, str]) -> bool:
        """Return whether the files enable CSM for an SDK."""
        text = self.keys_of(reader).get("csm_enabled")
        return text is not None and reads_files(reader, environ) and bool(enabled_by_key(text, [reader.sdk])[0])

    def finds_port(self, reader: Reader, environ: Mapping[str, str]) -> bool:
        """Return whether an SDK finds a port where it looks for one, in the files or in the variables."""
        in_files = "csm_port" in self.keys_of(reader) and reads_files(reader, environ)
        return in_files or ("AWS_CSM_PORT" in environ and reads_variables(reader, environ))

    def is_enabled(self, environ: Mapping[str, str]) -> bool:
        """Whether the files enable CSM for any SDK."""
        return any(self.enables(reader, environ) for reader in readers_of(environ))

    def has_port(self, environ: Mapping[str, str]) -> bool:
        """Whether any SDK finds a port."""
        return any(self.finds_port(reader, environ) for reader in readers_of(environ))


def read_profiles(environ: Mapping[str, str], home: Path) -> Profiles:
    """Read both files where the SDKs look for them."""
    active = active_profile(environ)
    unreadable: list[Finding] = []
    files: dict[str, _Sections] = {}
    for file, variable in _FILES.items():
        path = _path(environ.get(variable, ""), home / ".aws" / file, home)
        files[file] = _sections_of(path, unreadable, variable if environ.get(variable) else "")
    names = frozenset(name for sections in files.values() for name in sections)
    token_length = max(len(sections.get(active, {}).get(_TOKEN, "")) for sections in files.values())
    kept = {file: {name: _of_csm(keys) for name, keys in sections.items()} for file, sections in files.items()}
    return Profiles(active, names, kept, token_length, tuple(unreadable))


def _of_csm(keys: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in keys.items() if key.startswith("csm_")}


def _path(given: str, default: Path, home: Path) -> Path:
    if given.startswith("~/"):
        return home / given[2:]
    return Path(given) if given else default


def _sections_of(path: Path, unreadable: list[Finding], variable: str) -> _Sections:
    """Return the keys of each section of a file; a file that cannot be read is added to ``unreadable``.

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
    sections: _Sections = {}
    for name in parser.sections():
        sections.setdefault(name.removeprefix("profile ").strip(), {}).update(parser[name])
    return sections


def _unreadable(name: str, reason: str, fix: str) -> Finding:
    why = "SDKs read no profile from it; boto3 and the AWS CLI fail if it is not in INI format."
    return Finding("aws-config-unreadable", f"the file of {quoted(name)} cannot be read: {reason}", why, fix)
