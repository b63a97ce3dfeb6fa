"""Which SDKs take a value of ``AWS_CSM_ENABLED`` as true.

Source: the configuration readers of the SDKs (docs/troubleshooting.md, csm-enabled-value).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def _is_true(text: str) -> bool:
    return text.lower() == "true"


_READERS: dict[str, Callable[[str], bool]] = {
    "boto3 and the AWS CLI": _is_true,
    "JavaScript": lambda text: text not in ("", "false", "0"),
    "Go": lambda text: text in ("1", "t", "T", "true", "TRUE", "True"),  # strconv.ParseBool
    "Ruby": lambda text: text.lower() not in ("", "false", "f"),
    "PHP": lambda text: text.strip().lower() in ("1", "true", "on", "yes"),  # FILTER_VALIDATE_BOOLEAN
    "Java": _is_true,
    ".NET": lambda text: text.strip().lower() == "true",
    "C++": _is_true,
}


def enabled_and_not(text: str) -> tuple[list[str], list[str]]:
    """Return the SDKs for which the value enables CSM, and those for which it does not."""
    enabled = [name for name, reads in _READERS.items() if reads(text)]
    return enabled, [name for name in _READERS if name not in enabled]
