"""Events forwarded to another listener: real sockets on loopback."""

from __future__ import annotations

import errno
import json
import socket
from contextlib import closing
from typing import TYPE_CHECKING, cast

import pytest
from datagrams import attempt, call
from loopback import with_ipv6
from platforms import on_linux

from csm_otel.csm.decoding import Decoded, decode
from csm_otel.csm.encoding import encode_event
from csm_otel.csm.events import ApiCall, Dialect
from csm_otel.delivery.tee import Tee, _fault_of
from csm_otel.errors import SettingsError
from csm_otel.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Generator

ONE = decode(call(Api="ListBuckets"))


class Rig:
    """A tee, its counts and its warnings."""

    def __init__(self, host: str, port: int, *, messages: bool = True) -> None:
        self.tally = Tally()
        self.warnings: dict[str, str] = {}
        self.tee = Tee.open(host, port, self.tally, own=[], allow_remote=False, messages=messages, warn=self._warn)

    def _warn(self, line: str, *, kind: str) -> None:
        self.warnings[kind] = line

    @property
    def counts(self) -> tuple[int, dict[str, int]]:
        """How many events were forwarded, and how many were not, by reason."""
        return self.tally.events_forwarded, dict(self.tally.events_not_forwarded)


class Failing(socket.socket):
    """A socket that cannot send the first few times."""

    def __init__(self, number: int, *, times: int = 10) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_DGRAM)
        self._number = number
        self._times = times

    def send(self, *arguments: object) -> int:
        """Fail, or send.

        Raises:
            OSError: the first few times.
        """
        self._times -= 1
        if self._times >= 0:
            raise OSError(self._number, "no")
        return super().send(*arguments)  # type: ignore[arg-type]


@pytest.fixture
def listener() -> Generator[socket.socket]:
    """Yield a listener that is another program's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(60)
        yield sock


def test_each_event_is_a_datagram(listener: socket.socket) -> None:
    """Each is forwarded by itself, in order, however they arrived."""
    rig = Rig(*listener.getsockname())
    decoded = decode(b"[" + attempt(AccessKey="AKIDEXAMPLE") + b"," + call(Dialect.GO) + b"]")
    rig.tee.forward(decoded)

    assert [listener.recv(65_536) for _ in decoded.events] == [encode_event(event) for event in decoded.events]
    assert rig.counts == (2, {})
    assert not rig.tee.is_failing
    rig.tee.close()


@pytest.mark.parametrize("messages", [True, False], ids=["with-messages", "without"])
def test_messages(listener: socket.socket, *, messages: bool) -> None:
    """Error messages are forwarded unless they are not wanted."""
    rig = Rig(*listener.getsockname(), messages=messages)
    rig.tee.forward(decode(call(FinalAwsException="A", FinalAwsExceptionMessage="denied")))
    rig.tee.close()

    assert ("FinalAwsExceptionMessage" in json.loads(listener.recv(65_536))) == messages


def test_what_was_forwarded_is_not_forwarded_again(listener: socket.socket) -> None:
    """What another csm-otel has forwarded ends here, so that two that forward to each other end, too."""
    rig = Rig(*listener.getsockname())
    rig.tee.forward(decode(encode_event(ONE.events[0])))
    rig.tee.close()

    assert rig.counts == (0, {})


@on_linux
@pytest.mark.parametrize("host", ["127.0.0.1", with_ipv6("::1")])
def test_nobody_listens(host: str) -> None:
    """Each event for which nobody listens is counted, and the next ones reach a listener that has come."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        address = sock.getsockname()[:2]
    rig = Rig(*address)
    with closing(rig.tee):
        for _ in range(5):
            rig.tee.forward(ONE)
        assert rig.counts == (0, {"not_listening": 5})
        assert rig.tee.is_failing
        assert list(rig.warnings.values()) == [f"--tee {rig.tee.shown}: connection refused"]
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind(address)
            sock.settimeout(60)
            for _ in range(5):
                rig.tee.forward(ONE)
            assert {sock.recv(65_536) for _ in range(5)} == {encode_event(ONE.events[0])}
        assert rig.counts == (5, {"not_listening": 5})
        assert not rig.tee.is_failing


def test_an_event_that_is_too_large(listener: socket.socket) -> None:
    """An event beyond a datagram's size is counted, and the next one is forwarded."""
    rig = Rig(*listener.getsockname())
    rig.tee.forward(Decoded([ApiCall(Dialect.GO, "S3", "x" * 70_000), *ONE.events]))
    rig.tee.close()

    assert rig.counts == (1, {"oversized": 1})


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        pytest.param(errno.EAGAIN, "buffer_full", id="would-block"),
        pytest.param(errno.ENOBUFS, "buffer_full", id="no-memory"),
        pytest.param(errno.ENETUNREACH, "unreachable", id="no-route"),
        pytest.param(errno.EPERM, "unreachable", id="firewall"),
    ],
)
def test_other_failures(number: int, reason: str, listener: socket.socket) -> None:
    """An event is given up at any failure; nothing waits, and nothing raises."""
    tally = Tally()
    with Failing(number) as sock:
        sock.connect(listener.getsockname())
        Tee(sock, tally, messages=True, warn=lambda *_, **__: None).forward(ONE)

    assert tally.events_not_forwarded == {reason: 1}


def test_a_refusal_of_an_earlier_one(listener: socket.socket) -> None:
    """What another host has refused earlier costs the next event nothing."""
    rig = Rig(*listener.getsockname())

    with Failing(errno.ECONNREFUSED, times=1) as sock:
        sock.connect(listener.getsockname())
        Tee(sock, rig.tally, messages=True, warn=rig._warn).forward(ONE)
    rig.tee.close()

    assert listener.recv(65_536) == encode_event(ONE.events[0])
    assert rig.counts == (1, {})


class _Connected:
    """Replaces a connected socket."""

    def __init__(self, here: str, there: str, port: int) -> None:
        self._here, self._there, self._port = here, there, port

    def getpeername(self) -> tuple[str, int]:
        return self._there, self._port

    def getsockname(self) -> tuple[str, int]:
        return self._here, 50_000


OURS = "127.0.0.1:31000 is where csm-otel itself receives"
REMOTE = "192.0.2.1 is no loopback address; allow it with --allow-remote"


@pytest.mark.parametrize(
    ("here", "there", "port", "own", "allow_remote", "fault"),
    [
        pytest.param("127.0.0.1", "127.0.0.1", 31_001, [("127.0.0.1", 31_000)], False, "", id="another-port"),
        pytest.param("127.0.0.1", "127.0.0.2", 31_000, [("127.0.0.1", 31_000)], False, "", id="another-address"),
        pytest.param("127.0.0.1", "127.0.0.1", 31_000, [("127.0.0.1", 31_000)], False, OURS, id="our-own"),
        pytest.param("127.0.0.1", "127.0.0.1", 31_000, [("::1", 31_000), ("0.0.0.0", 31_000)], False, OURS, id="all"),
        pytest.param("127.0.0.1", "127.0.0.1", 31_000, [("::", 31_000)], False, OURS, id="both-families"),
        pytest.param("10.0.0.1", "192.0.2.1", 31_000, [("127.0.0.1", 31_000)], False, REMOTE, id="remote"),
        pytest.param("10.0.0.1", "192.0.2.1", 31_000, [("0.0.0.0", 31_000)], True, "", id="allowed"),
        pytest.param(
            "10.0.0.1", "10.0.0.1", 31_000, [("0.0.0.0", 31_000)], True,
            "10.0.0.1:31000 is where csm-otel itself receives", id="our-own-interface",
        ),
        pytest.param(
            "::ffff:127.0.0.1", "::ffff:127.0.0.1", 31_000, [("127.0.0.1", 31_000)], True,
            "[::ffff:127.0.0.1]:31000 is where csm-otel itself receives", id="our-own-over-IPv6",
        ),
        pytest.param(
            "::ffff:127.0.0.1", "::ffff:127.0.0.1", 31_000, [("127.0.0.1", 1)], False, "", id="loopback-over-IPv6",
        ),
    ],
)  # fmt: skip
def test_the_address(
    here: str, there: str, port: int, own: list[tuple[str, int]], fault: str, *, allow_remote: bool
) -> None:
    """Our own address is refused, whatever it is called, and without the flag another host's."""
    sock = cast("socket.socket", _Connected(here, there, port))

    assert _fault_of(sock, own, allow_remote=allow_remote) == fault


@pytest.mark.parametrize(
    ("host", "fault"),
    [
        pytest.param("a..b", "--tee: a..b:9: not a host name", id="no-name"),
        pytest.param("192.0.2.1", "--tee: ", id="remote-or-unreachable"),
    ],
)
def test_an_address_that_cannot_be_used(host: str, fault: str) -> None:
    """It is a fault of one line, and no socket is left open."""
    with pytest.raises(SettingsError) as caught:
        Rig(host, 9)

    (found,) = caught.value.faults
    assert str(found).startswith(fault)


def test_a_closed_tee(listener: socket.socket) -> None:
    """A tee that is closed counts and raises nothing."""
    rig = Rig(*listener.getsockname())
    rig.tee.close()
    rig.tee.forward(ONE)

    assert rig.counts == (0, {"unreachable": 1})
