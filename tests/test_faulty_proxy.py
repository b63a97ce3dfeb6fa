"""The faults that other tests rely on really happen to a connection."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
from faulty_proxy import BLACK_HOLE, REFUSED, FaultyProxy, Flow, Plan
from otlp_backend import DEADLINE_SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

SENT = b"0123456789"
SHORT_SECONDS = 0.2


@pytest.fixture
def proxy() -> Iterator[FaultyProxy]:
    """Stand in front of an echo server."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_echo_all, args=(server,), daemon=True).start()
        with FaultyProxy(f"http://127.0.0.1:{server.getsockname()[1]}") as proxy:
            yield proxy
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def _echo_all(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = server.accept()
            threading.Thread(target=_echo, args=(client,), daemon=True).start()


def _echo(client: socket.socket) -> None:
    with client, contextlib.suppress(OSError):
        while piece := client.recv(65_536):
            client.sendall(piece)


def _exchange(proxy: FaultyProxy, *, expects_silence: bool) -> tuple[bytes, str]:
    try:
        sock = _connect(proxy)
    except ConnectionResetError:  # the reset was there before connect() had returned
        return b"", "reset"
    with sock:
        if expects_silence:
            sock.settimeout(SHORT_SECONDS)
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            sock.sendall(SENT)
        return _read(sock, len(SENT))


def _connect(proxy: FaultyProxy) -> socket.socket:
    host, _, port = proxy.endpoint.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=DEADLINE_SECONDS)


def _read(sock: socket.socket, count: int) -> tuple[bytes, str]:
    """Read up to so many bytes, and return them and how the connection ended."""
    got = b""
    try:
        while len(got) < count:
            if not (piece := sock.recv(count - len(got))):
                return got, "closed"
            got += piece
    except ConnectionResetError:
        return got, "reset"
    except TimeoutError:
        return got, "silent"
    return got, "open"


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        pytest.param(Plan(), (SENT, "open"), id="none"),
        pytest.param(Plan(delay_seconds=0.05), (SENT, "open"), id="delay"),
        pytest.param(REFUSED, (b"", "reset"), id="refused"),
        pytest.param(BLACK_HOLE, (b"", "silent"), id="black-hole"),
        pytest.param(Plan(answer=Flow(end_after_bytes=4, ending="close")), (SENT[:4], "closed"), id="answer-closed"),
        pytest.param(Plan(answer=Flow(end_after_bytes=4, ending="hang")), (SENT[:4], "silent"), id="answer-stuck"),
        pytest.param(Plan(request=Flow(end_after_bytes=4, ending="hang")), (SENT[:4], "silent"), id="request-stuck"),
        pytest.param(Plan(answer=Flow(unharmed_bytes=4, byte_seconds=60)), (SENT[:5], "silent"), id="drip"),
    ],
)
def test_what_a_client_sees(proxy: FaultyProxy, plan: Plan, expected: tuple[bytes, str]) -> None:
    """Each plan for the first connection has its effect; the next connection is unharmed."""
    proxy.script(plan)
    assert expected == _exchange(proxy, expects_silence=expected[1] == "silent")
    with _connect(proxy) as sock:
        sock.sendall(SENT)
        assert _read(sock, len(SENT)) == (SENT, "open")
    assert proxy.connections == 2


def test_a_reset_is_one(proxy: FaultyProxy) -> None:
    """A reset in the answer is seen as a reset, not as an orderly end."""
    proxy.plan = Plan(answer=Flow(end_after_bytes=4))
    with _connect(proxy) as sock:
        sock.sendall(SENT)
        _, how = _read(sock, len(SENT))  # bytes received may be lost in a reset
    assert how == "reset"


def test_a_drip_takes_its_time(proxy: FaultyProxy) -> None:
    """Ten bytes at 10 ms take the nine pauses between them at least."""
    proxy.plan = Plan(answer=Flow(byte_seconds=0.01))
    with _connect(proxy) as sock:
        began = time.monotonic()
        sock.sendall(SENT)
        assert _read(sock, len(SENT)) == (SENT, "open")
    assert time.monotonic() - began >= 0.09


def test_open_connections_can_be_changed_and_ended(proxy: FaultyProxy) -> None:
    """A new plan counts from when it is set; an end applies whatever the plan."""
    with _connect(proxy) as sock:
        sock.sendall(SENT)
        assert _read(sock, len(SENT)) == (SENT, "open")
        proxy.change(Plan(answer=Flow(end_after_bytes=2, ending="hang")))
        sock.sendall(SENT)
        assert _read(sock, 2) == (SENT[:2], "open")
        proxy.end_connections("reset")
        assert _read(sock, 1) == (b"", "reset")


def test_refusing_is_for_new_connections(proxy: FaultyProxy) -> None:
    """Open connections stay; new ones are refused until it listens again on the same port."""
    with _connect(proxy) as sock:
        sock.sendall(SENT)
        _read(sock, len(SENT))
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            _connect(proxy)
        sock.sendall(SENT)
        assert _read(sock, len(SENT)) == (SENT, "open")
        proxy.listen()
        _connect(proxy).close()
        wait_until(lambda: proxy.connections == 2)
