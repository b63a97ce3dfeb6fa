"""The socket of the daemon: real sockets on loopback."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from platforms import on_linux
from service.answering import answering

from csm_otel.doctor.listening import Listener, check_buffer, check_listener, find_listener
from csm_otel.errors import ListenError

OFF = Path("none")


@pytest.mark.parametrize(
    ("listener", "is_csm_enabled", "codes"),
    [
        pytest.param(Listener(False, None, "", 0), False, [], id="nobody-needed"),
        pytest.param(Listener(False, None, "", 0), True, ["nobody-listens"], id="nobody"),
        pytest.param(Listener(True, True, "csm-otel (pid 1)", 0), True, [], id="daemon"),
        pytest.param(Listener(True, True, "csm-otel (pid 1)", 3), True, ["kernel-drops"], id="drops"),
        pytest.param(Listener(True, False, "nc (pid 1)", 3), True, ["port-taken"], id="taken"),
        pytest.param(Listener(True, None, "", 0), True, [], id="unknown"),
    ],
)
def test_codes(listener: Listener, codes: list[str], *, is_csm_enabled: bool) -> None:
    """Only what is known is a finding."""
    checked = check_listener(listener, port=31_000, is_csm_enabled=is_csm_enabled)

    assert [one.code for one in checked.findings] == codes


@on_linux
def test_another_program() -> None:
    """The owner of a port is found; without a control socket it is no csm-otel."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        listener = find_listener(port, OFF, timeout_seconds=1)

    assert (listener.is_bound, listener.is_ours, listener.kernel_drops) == (True, False, 0)
    assert "(pid " in listener.owner
    assert not find_listener(port, OFF, timeout_seconds=1).is_bound


def test_a_socket_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that systemd keeps for a service is no other program's."""
    monkeypatch.setattr("csm_otel.doctor.listening.owner_of_port", lambda _: "systemd (pid 1)")
    listener = find_listener(31_000, OFF, timeout_seconds=1)._replace(is_bound=True)
    checked = check_listener(listener, port=31_000, is_csm_enabled=True)

    assert checked == ("socket", "a socket unit (systemd (pid 1)) listens on UDP port 31000", ())


def test_without_procfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without /proc a port that cannot be bound is taken, by nobody knows whom."""
    monkeypatch.setattr("csm_otel.doctor.listening.is_available", lambda: False)
    monkeypatch.setattr("csm_otel.doctor.listening.udp_sockets", lambda _: [])
    monkeypatch.setattr("csm_otel.doctor.listening.owner_of_port", lambda _: None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        assert find_listener(port, OFF, timeout_seconds=1) == Listener(True, None, "", 0)
    assert not find_listener(port, OFF, timeout_seconds=1).is_bound


@on_linux
def test_the_daemon_answers(tmp_path: Path) -> None:
    """What answers at the control socket is csm-otel."""
    path = tmp_path / "folder" / "sock"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, answering(path, b'{"status": "ok"}\n'):
        sock.bind(("127.0.0.1", 0))
        listener = find_listener(sock.getsockname()[1], path, timeout_seconds=60)

    assert listener.is_ours is True


@on_linux
def test_drops() -> None:
    """What the kernel dropped of a socket is counted."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.bind(("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(100):
                sender.sendto(b"x" * 1000, sock.getsockname())
        assert find_listener(sock.getsockname()[1], OFF, timeout_seconds=1).kernel_drops > 0


def test_buffer() -> None:
    """A small buffer is granted."""
    assert check_buffer(4096).findings == ()


@on_linux
def test_a_buffer_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the system grants less, the finding has what was asked for."""
    monkeypatch.setattr("csm_otel.intake.receiver.Receiver.is_capped", lambda *_: True)
    (finding,) = check_buffer(65_536).findings

    assert (finding.code, finding.fix) == ("receive-buffer-capped", "sudo sysctl -w net.core.rmem_max=65536")


def test_no_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without loopback nothing can be received."""

    def bind(*_: object, **__: object) -> None:
        raise ListenError("cannot listen on 127.0.0.1:0: cannot assign requested address")

    monkeypatch.setattr("csm_otel.doctor.listening.Receiver.bind", bind)

    assert [one.code for one in check_buffer(4096).findings] == ["cannot-listen"]
