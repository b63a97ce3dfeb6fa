"""Which SDKs take a value of ``AWS_CSM_ENABLED`` as true.

Source: the configuration readers of the SDKs (docs/troubleshooting.md, csm-enabled-value).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

BOTO, JAVASCRIPT, GO, RUBY = "boto3 and the AWS CLI", "JavaScript", "Go", "Ruby"
PHP, JAVA, DOTNET, CPP = "PHP", "Java", ".NET", "C++"


def _is_true(text: str) -> bool:
    return text.lower() == "true"


_READERS: dict[str, Callable[[str], bool]] = {
    BOTO: _is_true,
    JAVASCRIPT: lambda text: text.lower() not in ("", "false", "0"),
    GO: lambda text: text in ("1", "t", "T", "true", "TRUE", "True"),  # strconv.ParseBool
    RUBY: lambda text: text.lower() not in ("", "false", "f"),
    PHP: lambda text: text.strip().lower() in ("1", "true", "on", "yes"),  # FILTER_VALIDATE_BOOLEAN
    JAVA: _is_true,
    DOTNET: lambda text: text.strip().lower() == "true",
    CPP: _is_true,
}


def enabled_and_not(text: str, sdks: Collection[str] = tuple(_READERS)) -> tuple[list[str], list[str]]:
    """Return those of the SDKs for which the value enables CSM, and those for which it does not."""
    enabled = [name for name in sdks if _READERS[name](text)]
    return enabled, [name for name in sdks if name not in enabled]


def enabled_by_key(text: str, sdks: Collection[str]) -> tuple[list[str], list[str]]:
    """Return the same for a key of a file: with any value, even ``false``, it enables CSM for Ruby."""
    enabled = [name for name in sdks if name == RUBY or _READERS[name](text)]
    return enabled, [name for name in sdks if name not in enabled]


def is_true_for(sdk: str, text: str) -> bool:
    """Return whether an SDK takes the text as true."""
    return _READERS[sdk](text)
