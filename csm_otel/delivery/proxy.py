"""The proxy of the environment on the way to a back end, in a form to use and one for the operator: `Proxy`.

SOCKS is not supported. For requests it is PySocks, which has had no release since 2019, whose connections a `Cutoff`
cannot end; gRPC has none at all.
"""

from __future__ import annotations

import contextlib
import ipaddress
from typing import NamedTuple
from urllib.parse import urlsplit

from csm_otel.delivery.outcome import one_line

CHECK_USER = ", check the user and the password in its URL"
"""The end of a line about HTTP 407."""
_UNREADABLE = "of the environment"


class Proxy(NamedTuple):
    """A proxy that is to be used."""

    url: str
    """With a scheme; may contain a user and a password."""
    shown: str
    """Its URL as it may be shown: scheme, host and port."""
    fault: str
    """Why it cannot be used, in a few words; "" if it can."""

    def __repr__(self) -> str:
        """Return what may be shown."""
        return f"Proxy({self.shown!r}, {self.fault!r})"

    @classmethod
    def of(cls, value: str, *, schemes: tuple[str, ...]) -> Proxy:
        """Return the proxy of a variable's value, whose scheme is ``http`` if it has none."""
        url = value.strip()
        url = url if "://" in url else f"http://{url.removeprefix('//')}"
        unreadable = cls(url, _UNREADABLE, "not a URL like http://proxy:3128")
        try:
            parts = urlsplit(url)
            host = parts.netloc.rpartition("@")[2]
            is_readable = bool(parts.hostname) and parts.port != 0 and " " not in host
        except ValueError:
            return unreadable
        # A password with a "/" that is not percent-encoded would be taken for a host and a path; with a "\" it is by
        # some libraries.
        if not is_readable or "@" in url.partition(parts.netloc)[2] or "\\" in url:
            return unreadable
        shown = one_line(f"{parts.scheme}://{host}")
        if parts.scheme.startswith("socks"):
            return cls(url, shown, "SOCKS is not supported")
        if parts.scheme not in schemes:
            return cls(url, shown, f"only {' and '.join(schemes)} proxies are supported")
        return cls(url, shown, "")

    def blamed(self, what: str, shown: str) -> str:
        """Return a line about a failure of the proxy itself, on the way to a back end."""
        return f"{what}: proxy {self.shown}, for {shown}"

    def passed(self, shown: str) -> str:
        """Return a back end's name with the way to it, for a failure of either."""
        return f"{shown}, through the proxy {self.shown}"


def is_excepted(authority: str, no_proxy: str) -> bool:
    """Return whether NO_PROXY excepts a back end, ``host:port``.

    requests has the same rules, but for IPv6 networks and for ports of addresses.
    """
    host = authority.rpartition(":")[0].strip("[]").lower()
    entries = [entry.strip().lower() for entry in no_proxy.split(",") if entry.strip()]
    return any(_excepts(entry, host, authority.lower()) for entry in entries)


def _excepts(entry: str, host: str, authority: str) -> bool:
    if entry in {"*", host, authority, f"[{host}]"}:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        domain = f".{entry.lstrip('.')}"
        return f".{host}".endswith(domain) or f".{authority}".endswith(domain)
    with contextlib.suppress(ValueError):
        return address in ipaddress.ip_network(entry, strict=False)
    return False
