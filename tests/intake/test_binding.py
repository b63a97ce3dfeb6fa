"""Bound sockets: the requested family, address and buffer."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from loopback import with_ipv6
from platforms import on_linux

from csm_otel.intake import binding
from csm_otel.intake.binding import DEFAULT_BUFFER_BYTES, bind_socket, grow_buffer, try_option, udp_address

MAX_BUFFER = Path("/proc/sys/net/core/rmem_max")


@pytest.mark.parametrize(
    ("host", "family"),
    [
        pytest.param("127.0.0.1", socket.AF_INET, id="ipv4"),
        with_ipv6("::1", socket.AF_INET6),
    ],
)
def test_bound(host: str, family: socket.AddressFamily) -> None:
    """The socket is a UDP one, of the host's family, on a free port if none is given."""
    with bind_socket(host, 0, buffer_bytes=DEFAULT_BUFFER_BYTES) as sock:
        assert (sock.family, sock.type) == (family, socket.SOCK_DGRAM)
        assert sock.getsockname()[0] == host
        assert sock.getsockname()[1] > 0


def test_a_name() -> None:
    """A name stands for its address."""
    with bind_socket("localhost", 0, buffer_bytes=65_536) as sock:
        assert sock.getsockname()[0] in {"127.0.0.1", "::1"}


IPV4 = (socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("127.0.0.1", 1))
IPV6 = (socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("::1", 1, 0, 0))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param([IPV6, IPV4], (socket.AF_INET, ("127.0.0.1", 1)), id="both"),
        pytest.param([IPV6], (socket.AF_INET6, ("::1", 1, 0, 0)), id="IPv6-only"),
    ],
)
def test_a_name_of_several_addresses(found: list[tuple[object, ...]], expected: tuple[object, ...]) -> None:
    """It stands for that of IPv4, over which every SDK sends, where it has one."""
    assert udp_address("localhost", 1, resolve=lambda *_, **__: found) == expected


@on_linux
def test_the_buffer_is_capped_without_privilege(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without privilege the buffer is the system's bound, doubled by the kernel."""
    monkeypatch.setattr(binding, "_ON_LINUX", False)
    most = int(MAX_BUFFER.read_text("ascii"))

    with bind_socket("127.0.0.1", 0, buffer_bytes=min(2 * most, 2**30)) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * most


@pytest.mark.parametrize(
    ("asked", "is_larger"), [pytest.param(65_536, True, id="larger"), pytest.param(4096, False, id="smaller")]
)
@pytest.mark.parametrize("is_forced", [True, False], ids=["forced", "not-allowed-to"])
def test_a_buffer_grows_and_never_shrinks(
    asked: int, monkeypatch: pytest.MonkeyPatch, *, is_larger: bool, is_forced: bool
) -> None:
    """A socket gets a larger buffer than it has, and keeps its own where a smaller one is asked for."""
    if not is_forced:
        monkeypatch.setattr(binding, "_SO_RCVBUFFORCE", 9999)
    with bind_socket("127.0.0.1", 0, buffer_bytes=16_384) as sock:
        before = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        grow_buffer(sock, asked)
        after = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    assert (after > before, after >= before) == (is_larger, True)


@on_linux
def test_a_buffer_beyond_the_limit_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A buffer that is larger than this process may ask for is not cut to what it may."""
    monkeypatch.setattr(binding, "_request_buffer", lambda sock, _: try_option(sock, socket.SO_RCVBUF, 4096))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        before = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        grow_buffer(sock, 2**20)

        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == before


def test_an_option_that_does_not_exist() -> None:
    """An option that the system does not know returns False, and raises nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        assert try_option(sock, socket.SO_RCVBUF, 65_536)
        assert not try_option(sock, 9999, 1)
