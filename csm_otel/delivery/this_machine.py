"""Which hosts are this machine itself, however they are spelled: `is_this_machine`.

Nothing is looked up over the network: behind a proxy there may be no name server, and a lookup that hangs would cost
the delivery its time. So a name is this machine if a standard or the hosts file says so.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from pathlib import Path

_HOSTS_FILE = Path("/etc/hosts")
# RFC 6761, 6.3; the others are in the hosts files of distributions, or answered by systemd's nss-myhostname.
_NAMES = frozenset({"localhost", "localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"})
_DOMAINS = (".localhost", ".localhost.localdomain")


def is_this_machine(host: str, *, hosts_file: Path = _HOSTS_FILE) -> bool:
    """Return whether connections to a host, an address or a name as in a URL, stay on this machine.

    The unspecified address is among them, as systems connect it to themselves; other addresses of this machine's
    network interfaces are not, because a proxy may be able to reach them.
    """
    name = host.lower().removesuffix(".")
    if name in _NAMES or name.endswith(_DOMAINS):
        return True
    address = _address(name)
    if address is not None:
        return _is_own(address)
    return any(_is_own(address) for address in _addresses_in(hosts_file, name))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(text)
    with contextlib.suppress(OSError, ValueError):
        # The forms that resolvers accept as well: 127.1, 2130706433, 0x7f000001.
        return ipaddress.IPv4Address(socket.inet_aton(text))
    return None


def _is_own(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    actual = mapped or address
    return actual.is_loopback or actual.is_unspecified


def _addresses_in(hosts_file: Path, name: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Return the addresses of a name in the hosts file; none if there is no such file."""
    try:
        lines = hosts_file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    entries = (line.partition("#")[0].lower().split() for line in lines)
    found = (_address(address) for address, *names in filter(None, entries) if name in names)
    return [address for address in found if address is not None]
