"""The networks that datagrams are accepted from: `AllowedNetworks`."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING

from csm_otel.errors import quoted

if TYPE_CHECKING:
    from csm_otel.csm.events import Peer

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAX_HOSTS = 4096  # remembered; hosts may be a flood's


def parse_networks(text: str) -> tuple[Network, ...]:
    """Return the networks of a list like ``10.0.0.0/8,fd00::/8``; an address alone is a network of one.

    Raises:
        ValueError: one of them is not a network; the text names it.
    """
    return tuple(_network(part.strip()) for part in text.split(",") if part.strip())


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        if quoted(text) == repr(text):
            raise  # its text has the reason
        raise ValueError(f"{quoted(text)} does not appear to be a network") from None


class AllowedNetworks:
    """Decides whether datagrams of a peer are accepted; those of this machine always are."""

    def __init__(self, text: str) -> None:
        """Parse the list, as `parse_networks` does."""
        networks = parse_networks(text)

        @lru_cache(maxsize=_MAX_HOSTS)
        def is_allowed(host: str) -> bool:
            address = ipaddress.ip_address(host)
            return any(address in network for network in networks)

        self._is_allowed = is_allowed

    def __call__(self, peer: Peer) -> bool:
        """Return whether datagrams of this peer are accepted."""
        return peer.is_loopback or self._is_allowed(peer.host)
