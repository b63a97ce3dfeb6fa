"""Where each SDK looks for CSM's settings in the AWS configuration: `readers_of`.

Source: the configuration readers of the SDKs (docs/sdks.md, How each is enabled).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from csm_otel.doctor.spellings import BOTO, CPP, DOTNET, GO, JAVA, JAVASCRIPT, PHP, RUBY, is_true_for

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG, CREDENTIALS = "config", "credentials"
"""The two files, by the names that they have in ``~/.aws``."""
CSM_SECTION = "aws_csm"
DEFAULT_SECTION = "default"
_BOTH = (CREDENTIALS, CONFIG)  # whose keys of the same name win, first
_ALL_OR_NOTHING = (GO, PHP, JAVA, DOTNET)  # AWS_CSM_ENABLED decides whether they read variables or files


class Reader(NamedTuple):
    """An SDK, and where it looks."""

    sdk: str
    files: tuple[str, ...]
    section: str

    @property
    def where(self) -> str:
        """The SDK and the only place that it reads, in a few words."""
        return f"{self.sdk} reads [{self.section}] of the {' and '.join(sorted(self.files))} file"


def readers_of(environ: Mapping[str, str]) -> tuple[Reader, ...]:
    """Return where each SDK looks, given the variables that choose a profile."""
    named = environ.get("AWS_PROFILE") or DEFAULT_SECTION
    loads_config = is_true_for(GO, environ.get("AWS_SDK_LOAD_CONFIG", ""))
    return (
        Reader(BOTO, _BOTH, active_profile(environ)),
        Reader(JAVASCRIPT, (CONFIG,), named),
        Reader(GO, _BOTH if loads_config else (CREDENTIALS,), CSM_SECTION),
        Reader(RUBY, _BOTH, named),
        Reader(PHP, (CONFIG,), environ.get("AWS_PROFILE") or CSM_SECTION),
        Reader(JAVA, (CONFIG,), named),
        Reader(DOTNET, _BOTH, named),
        Reader(CPP, _BOTH, named),
    )


def active_profile(environ: Mapping[str, str]) -> str:
    """Return the profile of boto3 and the AWS CLI, which read ``AWS_DEFAULT_PROFILE`` first, unlike the others."""
    return environ.get("AWS_DEFAULT_PROFILE") or environ.get("AWS_PROFILE") or DEFAULT_SECTION


def reads_files(reader: Reader, environ: Mapping[str, str]) -> bool:
    """Return whether an SDK reads any of CSM's settings from files, given that a variable may enable CSM."""
    return not (environ.get("AWS_CSM_ENABLED") and reader.sdk in _ALL_OR_NOTHING)


def reads_variables(reader: Reader, environ: Mapping[str, str]) -> bool:
    """Return whether an SDK reads any of CSM's settings from variables."""
    return bool(environ.get("AWS_CSM_ENABLED")) or reader.sdk not in _ALL_OR_NOTHING
