"""User agent or key order in, SDK family (`Dialect`) out.

The user agent has precedence where it names an SDK: the name is never a coincidence, while the key order of a sender on
an old Python (with unordered dicts) may be. The key order decides where no SDK is named: PHP's calls, calls that were
never sent, and scripts with a user agent of their own.

Source: the SDKs' own code; tests/conformance checks it on every captured datagram.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from csm_otel.csm.events import Dialect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PRODUCTS: tuple[tuple[str, Dialect], ...] = (
    ("aws-cli/", Dialect.BOTOCORE),
    ("aiobotocore/", Dialect.BOTOCORE),
    ("Boto3/", Dialect.BOTOCORE),
    ("Botocore/", Dialect.BOTOCORE),
    ("aws-sdk-nodejs/", Dialect.JS),
    ("aws-sdk-js/", Dialect.JS),
    ("aws-sdk-go/", Dialect.GO),
    ("aws-sdk-ruby3/", Dialect.RUBY),
    ("aws-sdk-ruby2/", Dialect.RUBY),
    ("aws-sdk-php/", Dialect.PHP),
    ("aws-sdk-java/", Dialect.JAVA),
    ("aws-sdk-dotnet", Dialect.DOTNET),
    ("aws-sdk-cpp/", Dialect.CPP),
)
_PRODUCT = re.compile(r"(?<![\w-])(?:aws-cli|aiobotocore|Boto3|Botocore|aws-sdk-[a-z][\w-]*)/[\w.+-]+")
_APPLICATION = re.compile(r"(?:^|\s)app/([^\s]{1,50})")

_FIRST_KEYS: dict[tuple[str, ...], Dialect] = {
    ("Version", "ClientId"): Dialect.BOTOCORE,
    ("Type", "Api"): Dialect.JS,
    ("ClientId", "Api"): Dialect.GO,
    ("Api", "ClientId"): Dialect.PHP,
}
_RUBY_OR_CPP = ("Type", "Service")
_JAVA_OR_DOTNET = ("Api", "Service")
FIRST_KEYS: Mapping[Dialect, tuple[str, ...]] = {
    **{dialect: keys for keys, dialect in _FIRST_KEYS.items()},
    Dialect.CPP: ("Type", "Service", "Api", "ClientId", "Timestamp", "Version", "UserAgent"),
    Dialect.DOTNET: ("Api", "Service", "ClientId", "Version", "Type"),
    Dialect.JAVA: ("Api", "Service", "ClientId", "Version", "Region", "UserAgent"),
    Dialect.RUBY: ("Type", "Service", "Api", "ClientId", "Version", "Region"),
    Dialect.UNKNOWN: ("Service", "Type"),
}
"""First keys in an order by which `dialect_of_keys` knows each SDK family, if the next one is not `UserAgent`."""
DISTINGUISHING_KEYS = 7
"""How many keys have to be compared: Ruby and C++ differ only in their seventh."""


@lru_cache(maxsize=1024)
def dialect_of_user_agent(user_agent: str) -> Dialect | None:
    """Return the SDK family named by a user agent, or None."""
    for product, dialect in _PRODUCTS:
        if product in user_agent:
            return dialect
    return None


def dialect_of_keys(keys: Sequence[str]) -> Dialect | None:
    """Return the SDK family that writes its first (seven) keys in this order, or None."""
    first = tuple(keys[:2])
    if first == _RUBY_OR_CPP:
        seventh = keys[DISTINGUISHING_KEYS - 1 : DISTINGUISHING_KEYS]
        return Dialect.CPP if "UserAgent" in seventh else Dialect.RUBY
    if first == _JAVA_OR_DOTNET:
        # .NET writes Version, Type, Timestamp; Java Timestamp (if any), Version, Region
        return Dialect.DOTNET if "Type" in keys[:6] else Dialect.JAVA
    return _FIRST_KEYS.get(first)


@lru_cache(maxsize=1024)
def sdk_of_user_agent(user_agent: str) -> str | None:
    """Return the first SDK in a user agent with its version (``Boto3/1.28.1``, ``aws-cli/2.7.14``), or None."""
    found = _PRODUCT.search(user_agent)
    return found[0] if found else None


@lru_cache(maxsize=1024)
def application_of_user_agent(user_agent: str) -> str | None:
    """Return the application id, which newer SDKs add as ``app/<id>``, or None."""
    found = _APPLICATION.search(user_agent)
    return found[1] if found else None
