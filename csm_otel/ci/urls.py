"""Addresses as CI systems have them, which may contain credentials: `page_url`, `repository_of`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from urllib.parse import SplitResult

_PROVIDERS = {"github.com": "github", "gitlab.com": "gitlab", "bitbucket.org": "bitbucket"}


class Repository(NamedTuple):
    """A repository by its address; what cannot be read of it is empty."""

    url: str = ""
    """Of its page."""
    owner: str = ""
    name: str = ""
    provider: str = ""
    """As the conventions name it, if the host belongs to a known one."""


def page_url(text: str) -> str:
    """Return the address of a page without user, password, query and fragment; empty if it is none of http(s)."""
    parts = _parts_of(text)
    if parts is None or parts.scheme not in ("http", "https") or not (host := parts.hostname):
        return ""
    try:
        port = parts.port
    except ValueError:
        return ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{'' if port is None else f':{port}'}{parts.path}"


def repository_of(text: str) -> Repository:
    """Return the repository at an address that can be cloned, https or ssh.

    What ssh reaches need not have a page at the same host: it has no ``url``.
    """
    url = page_url(text).rstrip("/").removesuffix(".git")
    if url:
        host, _, path = url.partition("://")[2].partition("/")
    elif "://" in text:
        parts = _parts_of(text)
        if parts is None:
            return Repository()
        host, path = parts.hostname or "", parts.path.strip("/").removesuffix(".git")
    else:  # user@host:path, as of scp
        host, colon, path = text.rpartition("@")[2].partition(":")
        path = path.strip("/").removesuffix(".git")
        if not colon:
            return Repository()
    owner, _, name = path.rpartition("/")
    return Repository(url, owner, name, _PROVIDERS.get(host.lower(), ""))


def _parts_of(text: str) -> SplitResult | None:
    """Return the parts of an address; None if it is malformed, or might have a piece of a password elsewhere."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    # With an unescaped / ? or # in it, the password would end the host too early.
    return None if "@" in f"{parts.path}{parts.query}{parts.fragment}" else parts
