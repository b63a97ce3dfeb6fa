"""Sockets that are handed over. That a daemon uses them is in tests/e2e/test_activation.py."""

from __future__ import annotations

import os
import socket
import tempfile
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest
from activated import bound_socket
from loopback import with_ipv6

from csm_otel.errors import ListenError
from csm_otel.intake import activation
from csm_otel.intake.activation import take_sockets

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST = 200


pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count descriptors from another one on than 3, which is pytest's."""
    monkeypatch.setattr(activation, "_FIRST_DESCRIPTOR", FIRST)


def variables(count: int | str, **more: str) -> dict[str, str]:
    """Return the environment of a process to which so many sockets are handed over."""
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(count), "HOME": "/", **more}


def taken(environ: dict[str, str], *sockets: socket.socket) -> list[tuple[str, int]]:
    """Hand the sockets over, and return the addresses of those that are taken.

    Raises:
        ListenError: one of them cannot be used.
    """
    with ExitStack() as opened:
        for number, sock in enumerate(sockets, FIRST):
            os.dup2(sock.fileno(), number)
        try:
            received = take_sockets(environ)
        except ListenError:
            for number in range(FIRST, FIRST + len(sockets)):
                with suppress(OSError):  # closed with its socket
                    os.close(number)
            raise
        for sock in received:
            opened.enter_context(sock)
        assert not any(sock.get_inheritable() for sock in received)
        return [sock.getsockname()[:2] for sock in received]


@pytest.mark.parametrize("hosts", [["127.0.0.1"], ["127.0.0.1", "127.0.0.1"], with_ipv6(["127.0.0.1", "::1"])])
def test_taken(hosts: list[str]) -> None:
    """Each is taken in its order, not to be inherited by children, and neither are the variables."""
    with ExitStack() as opened:
        sockets = [opened.enter_context(bound_socket(host)) for host in hosts]
        environ = variables(len(hosts), LISTEN_FDNAMES="a:b", LISTEN_PIDFDID="1")

        assert taken(environ, *sockets) == [sock.getsockname()[:2] for sock in sockets]
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="no-variables"),
        pytest.param({"LISTEN_FDS": "1"}, id="no-process"),
        pytest.param({"LISTEN_PID": "1", "LISTEN_FDS": "1"}, id="another-process"),
        pytest.param({"LISTEN_PID": "x", "LISTEN_FDS": "x"}, id="nonsense-for-nobody"),
        pytest.param(variables(0), id="none"),
    ],
)
def test_nothing_is_handed_over(environ: dict[str, str]) -> None:
    """Without sockets for this very process there are none, and the variables are removed all the same."""
    assert taken(environ) == []
    assert not environ.keys() & {"LISTEN_PID", "LISTEN_FDS"}


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "²", "9" * 5000])
def test_a_number_that_is_none(text: str) -> None:
    """What is not a number of sockets is one line."""
    with pytest.raises(ListenError, match=r"is not a number of sockets$"):
        take_sockets(variables(text))


def _unbound() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        pytest.param(lambda: socket.create_server(("127.0.0.1", 0)), "is not a UDP socket: ", id="tcp"),
        pytest.param(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), "is not a UDP socket: ", id="unix"),
        pytest.param(_unbound, "is not bound to a port", id="unbound"),
    ],
)
def test_another_kind_of_socket(make: Callable[[], socket.socket], why: str) -> None:
    """A socket that cannot be used is one line with its descriptor and its name, and none is taken."""
    with bound_socket() as good, make() as bad, pytest.raises(ListenError) as caught:
        taken(variables(2, LISTEN_FDNAMES="good:bad\n"), good, bad)

    assert str(caught.value).startswith(f"LISTEN_FDS: descriptor {FIRST + 1}, 'bad\\n', {why}")


@pytest.mark.parametrize("is_open", [True, False], ids=["a-file", "not-open"])
def test_no_socket(*, is_open: bool) -> None:
    """A descriptor of something else, or of nothing, is one line."""
    with tempfile.TemporaryFile() as file:
        if is_open:
            os.dup2(file.fileno(), FIRST)
        with pytest.raises(ListenError, match=rf"^LISTEN_FDS: descriptor {FIRST} is not a socket: [a-z -]+$"):
            take_sockets(variables(1))
        if is_open:
            os.close(FIRST)
