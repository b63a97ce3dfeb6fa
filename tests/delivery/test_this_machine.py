"""Hosts that are this machine, by their address."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from csm_otel.delivery.this_machine import is_this_machine

if TYPE_CHECKING:
    from pathlib import Path

_HOSTS = """\
# 127.0.0.1 commented
127.0.1.1   laptop.example Laptop  # 127.0.0.1 behind
::1 six
192.0.2.7   elsewhere
nonsense    odd
127.0.0.1
"""


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.8.9.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.0.0.1."),
        *("0.0.0.0", "0", "::", "::1", "0:0:0:0:0:0:0:1", "::1%lo", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:0:0"),
        *("localhost", "LOCALHOST", "localhost.", "collector.localhost", "localhost.localdomain", "localhost6"),
        *("ip6-localhost", "ip6-loopback", "laptop.example", "laptop", "Laptop.", "six"),
    ],
)
def test_spellings_of_this_machine(host: str, tmp_path: Path) -> None:
    """An address counts as what it is, a name as what a standard or the hosts file says."""
    assert is_this_machine(host, hosts_file=_hosts(tmp_path))


@pytest.mark.parametrize(
    "host",
    [
        *(
            "192.0.2.1",
            "128.1",
            "3221225985",
            "10.1",
            "::2",
            "::ffff:192.0.2.1",
            "fe80::1",
            "2001:db8::1",
            "169.254.0.1",
        ),
        *("127.evil.example", "127.0.0.1.example", "localhost.example", "mylocalhost", "1.2.3.4.5", "0x", "collector"),
        *("elsewhere", "odd", "commented", "behind", ""),
    ],
)
def test_others(host: str, tmp_path: Path) -> None:
    """What only looks like this machine is not, nor is a name that the hosts file gives another address."""
    assert not is_this_machine(host, hosts_file=_hosts(tmp_path))


def test_a_system_without_a_hosts_file(tmp_path: Path) -> None:
    """Names of a standard need no file, and others are unknown without one."""
    assert [is_this_machine(host, hosts_file=tmp_path / "none") for host in ("localhost", "laptop")] == [True, False]


def _hosts(folder: Path) -> Path:
    path = folder / "hosts"
    path.write_text(_HOSTS)
    return path
