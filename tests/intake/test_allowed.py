"""The peers from which datagrams are accepted."""

from __future__ import annotations

import pytest

from csm_otel.csm.events import Peer
from csm_otel.intake.allowed import AllowedNetworks, parse_networks


@pytest.mark.parametrize(
    ("networks", "host", "expected"),
    [
        pytest.param("10.0.0.0/8", "10.255.255.255", True, id="last-address"),
        pytest.param("10.0.0.0/8", "11.0.0.0", False, id="one-beyond"),
        pytest.param("10.1.2.3", "10.1.2.3", True, id="an-address-alone"),
        pytest.param("10.1.2.3", "10.1.2.4", False, id="its-neighbour"),
        pytest.param("192.0.2.0/24, fd00::/8", "fd12::1", True, id="ipv6"),
        pytest.param("192.0.2.0/24,fd00::/8", "fe80::1", False, id="another-ipv6"),
        pytest.param("fe80::/10", "fe80::1%eth0", True, id="with-a-zone"),
        pytest.param("0.0.0.0/0", "fd00::1", False, id="all-of-the-other-family"),
        pytest.param("0.0.0.0/0", "203.0.113.9", True, id="all"),
        pytest.param("10.0.0.0/8", "127.0.0.1", True, id="loopback-always"),
        pytest.param("10.0.0.0/8", "127.9.9.9", True, id="all-of-loopback"),
        pytest.param("10.0.0.0/8", "::1", True, id="ipv6-loopback"),
        pytest.param(" , ", "10.0.0.1", False, id="no-network"),
    ],
)
def test_allowed(networks: str, host: str, expected: bool) -> None:  # ruff: ignore[boolean-type-hint-positional-argument] - a column of the table
    """A peer is allowed in one of the networks, of its own family, and on this machine anyway."""
    is_allowed = AllowedNetworks(networks)

    assert [expected] * 2 == [is_allowed(Peer(host, port)) for port in (1, 2)]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("10.0.0.0/33", id="mask"),
        pytest.param("10.0.0.1/8", id="host-bits"),
        pytest.param("intranet", id="name"),
        pytest.param("10.0.0.0/8 10.1.0.0/16", id="no-comma"),
        pytest.param("::/0,10", id="second"),
    ],
)
def test_no_network(text: str) -> None:
    """A part that is not a network is an error that names it."""
    with pytest.raises(ValueError, match=r"10|intranet"):
        parse_networks(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("x" * 5_000, f"'{'x' * 40}'...", id="long"),
        pytest.param("10.0.0.0/8,key=hunter2", "a text with '='", id="header"),
    ],
)
def test_how_it_is_quoted(text: str, shown: str) -> None:
    """A long text is cut, and a possible header is not shown."""
    with pytest.raises(ValueError, match="does not appear to be a network") as caught:
        parse_networks(text)
    assert str(caught.value).startswith(f"{shown} does")
