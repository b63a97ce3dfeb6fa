"""Addresses as CI systems have them, which may contain credentials: `page_url`, `repository_of`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from urllib.parse import SplitResult

_PROVIDERS = {"github.com": "github", "gitlab.com": "gitlab", "bitbucket.org": "bitbucket"}
_SSH = ("ssh", "git+ssh", "git")  # git's own protocol has the same form
_OF_SCP = re.compile(r"[^/\\]+@(?P<host>\[[0-9A-Fa-f:.]+\]|[^@:/\[]+):(?P<path>[^@?#]+)")  # user@host:path


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
    if url := page_url(text).rstrip("/").removesuffix(".git"):
        host, _, path = url.partition("://")[2].partition("/")
    elif (parts := _parts_of(text)) is not None and parts.scheme in _SSH:
        host, path = parts.hostname or "", parts.path
    elif found := _OF_SCP.fullmatch(text):
        host, path = found["host"], found["path"]
    else:
        return Repository()
    owner, _, name = path.strip("/").removesuffix(".git").rpartition("/")
    return Repository(url, owner, name, _PROVIDERS.get(host.lower(), ""))


def _parts_of(text: str) -> SplitResult | None:
    """Return the parts of an address; None if it is malformed, or might have a piece of a password elsewhere."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    # With an unescaped / ? or # in it, the password would end the host too early; with an escaped @ it would be in it.
    kept = f"{parts.hostname or ''}{parts.path}{parts.query}{parts.fragment}"
    # The function leaves out line ends and tabs, which would join what they separate.
    return parts if text.isprintable() and "@" not in unquote(kept) else None
