"""The sockets of the daemon, and its lines about them. Running daemons are in tests/e2e/."""

from __future__ import annotations

import errno
import io
import socket
from contextlib import closing
from typing import Any, cast

import pytest
from configured import configured, given

from csm_otel.commands import listening
from csm_otel.commands.listening import _is_loopback, addresses_text, check_addresses, open_receivers
from csm_otel.config.configuration import configure
from csm_otel.config.setting import Address
from csm_otel.config.settings import Settings
from csm_otel.errors import Fault, ListenError, collecting
from csm_otel.intake.receiver import Receiver
from csm_otel.process.speaker import Speaker


def bound(**settings: Any) -> tuple[list[tuple[str, int]], str]:
    """Return the bound addresses, and stderr."""
    stderr = io.StringIO()
    receivers = open_receivers(Settings(**settings), [], Speaker(stderr))
    for receiver in receivers:
        receiver.close()
    return [receiver.address for receiver in receivers], stderr.getvalue()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("LocalHost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.1", False),
        ("build-7", False),
    ],
)
def test_loopback(host: str, *, expected: bool) -> None:
    """Only addresses of this machine are loopback; of names only localhost."""
    assert _is_loopback(host) is expected


def test_a_free_port_is_one_on_ipv4() -> None:
    """Port 0 binds 127.0.0.1 only, as two sockets would get two ports."""
    addresses, stderr = bound(port=0)

    assert [host for host, _ in addresses] == ["127.0.0.1"]
    assert addresses[0][1] > 0
    assert not stderr


REMOTE = "is no loopback address; allow it with --allow-remote"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({}, [], id="defaults"),
        pytest.param({"host": "::1", "health": Address("localhost", 1)}, [], id="loopback"),
        pytest.param({"host": "0.0.0.0"}, ["--host: 0.0.0.0"], id="all of IPv4"),
        pytest.param({"host": "192.0.2.1"}, ["--host: 192.0.2.1"], id="address"),
        pytest.param({"host": "build-7"}, ["--host: build-7"], id="name"),
        pytest.param({"health": Address("::", 1)}, ["--health: ::"], id="health"),
        pytest.param({"health": Address("a", 1), "host": "b"}, ["--host: b", "--health: a"], id="both"),
    ],
)
def test_what_others_can_reach_needs_a_flag(settings: dict[str, Any], expected: list[str]) -> None:
    """Without --allow-remote each such address is a fault."""
    faults: list[Fault] = []
    with collecting(faults):
        check_addresses(configured("serve", **settings), [])
    assert [str(fault) for fault in faults] == [f"{start} {REMOTE}" for start in expected]

    check_addresses(configured("serve", **settings, allow_remote=True), [])


def test_metrics_that_others_can_reach_need_the_flag() -> None:
    """The address for Prometheus is one of those; that of health is one anyway."""
    variables = {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_HOST": "0.0.0.0"}
    faults: list[Fault] = []
    with collecting(faults):
        check_addresses(configure("serve", given(variables))[0], [])
    assert [str(fault) for fault in faults] == [f"OTEL_EXPORTER_PROMETHEUS_HOST: 0.0.0.0 {REMOTE}"]

    check_addresses(configure("serve", given(variables, flags={"allow_remote": True}))[0], [])


def test_a_remote_host_is_warned_about() -> None:
    """With the flag it is bound, and a line warns of the consequences."""
    (address,), stderr = bound(host="0.0.0.0", port=0, allow_remote=True)

    assert address[0] == "0.0.0.0"
    assert "unauthenticated datagrams" in stderr


class _Bound:
    """Replaces a bound socket."""

    buffer_bytes = 8192
    is_handed_over = False

    def __init__(self, host: str, port: int) -> None:
        self.address = (host, port)
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


def bind_by(monkeypatch: pytest.MonkeyPatch, errors: dict[str, int]) -> list[_Bound]:
    """Make the binding of hosts fail with an errno, and return a list that receives the others."""
    made: list[_Bound] = []

    def bind(host: str, port: int, *, buffer_bytes: int) -> _Bound:
        assert buffer_bytes == Settings().receive_buffer_bytes
        if host in errors:
            raise ListenError("no", errno=errors[host])
        made.append(_Bound(host, port))
        return made[-1]

    monkeypatch.setattr(Receiver, "bind", bind)
    monkeypatch.setattr(listening, "owner_of_port", lambda _port: "etl.py (pid 7)")
    return made


@pytest.mark.parametrize(
    ("errors", "hosts"),
    [
        pytest.param({}, ["127.0.0.1", "::1"], id="both"),
        pytest.param({"::1": errno.EADDRNOTAVAIL}, ["127.0.0.1"], id="no-address"),
        pytest.param({"::1": errno.EAFNOSUPPORT}, ["127.0.0.1"], id="no-family"),
    ],
)
def test_both_loopback_addresses(errors: dict[str, int], hosts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """By default both are bound; a system without IPv6 has one."""
    monkeypatch.setattr(socket, "has_ipv6", True)
    bind_by(monkeypatch, errors)

    assert [host for host, _ in bound()[0]] == hosts


def test_no_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """An IPv6 address that is asked for is an error on a system without IPv6."""
    bind_by(monkeypatch, {"::1": errno.EADDRNOTAVAIL})

    with pytest.raises(ListenError, match=r"^no$"):
        bound(host="::1")


def test_a_port_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the process that has it, and sockets bound before are closed."""
    monkeypatch.setattr(socket, "has_ipv6", True)
    made = bind_by(monkeypatch, {"::1": errno.EADDRINUSE})

    with pytest.raises(ListenError, match=r"^no, by etl.py \(pid 7\)$"):
        bound()
    assert [one.is_closed for one in made] == [True]


def test_addresses() -> None:
    """The line for the operator has the addresses and the smallest buffer."""
    with closing(Receiver.bind("127.0.0.1", 0)) as receiver:
        text = addresses_text([receiver])
        assert text.startswith(f"127.0.0.1:{receiver.address[1]} (receive buffer {receiver.buffer_bytes:,} bytes")
    shown = addresses_text(cast("list[Receiver]", [_Bound("127.0.0.1", 1), _Bound("::1", 1)]))
    assert shown.startswith("127.0.0.1:1 and [::1]:1 (receive buffer 8,192 bytes")
