"""The question of `csm-otel health` and its reading of the answer. Real daemons are in tests/e2e/test_health.py."""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from loopback import answering_once, with_ipv6
from manual_clock import ManualClock
from service.answering import answering
from service.health_runs import running_health

from csm_otel.commands.health import health
from csm_otel.config.setting import Address
from csm_otel.config.settings import Settings
from csm_otel.errors import ControlError, SettingsError
from csm_otel.tally import Snapshot, Tally, snapshot_of

if TYPE_CHECKING:
    from collections.abc import Generator

COUNTS = snapshot_of(Tally(datagrams_received=3, datagrams_dropped_by_kernel=0), events_pending=0)
LINE = (
    "3 datagrams received, 0 dropped by the kernel, 0 malformed, 0 events pending, 0 spans delivered, 0 waiting, "
    "0 dropped\n"
)
NO_CSM_OTEL = "what answers there is no csm-otel, or an older one"


def answer(status: object, **others: Any) -> bytes:
    """Return a daemon's answer."""
    return json.dumps({"status": status, "troubles": [], **COUNTS._asdict(), **others}).encode() + b"\n"


@contextmanager
def http_server(response: bytes) -> Generator[Address]:
    """Answer one connection, and yield where."""
    with answering_once(response) as port:
        yield Address("127.0.0.1", port)


@pytest.mark.parametrize("check", ["live", "ready"])
@pytest.mark.parametrize(
    ("status", "troubles", "is_alive", "is_ready", "line"),
    [
        pytest.param("ok", [], True, True, f"ok: {LINE}", id="ok"),
        pytest.param("degraded", ["a b", "c"], True, True, f"degraded (a b, c): {LINE}", id="degraded"),
        pytest.param("failing", ["a"], True, False, f"failing (a): {LINE}", id="failing"),
        pytest.param("stalled", [], False, False, f"stalled: {LINE}", id="stalled"),
    ],
)
def test_by_the_control_socket(
    status: str,
    troubles: list[str],
    line: str,
    check: Literal["live", "ready"],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    is_alive: bool,
    is_ready: bool,
) -> None:
    """The line has state, troubles and counts, and the exit code says whether it is as asked for."""
    path = tmp_path / "folder" / "sock"
    with answering(path, answer(status, troubles=troubles)) as asked:
        code = health(Settings(control=path, check=check, health=Address("127.0.0.1", 0)))

    assert json.loads(asked[0]) == {"do": "health"}
    assert (code == 0) is (is_ready if check == "ready" else is_alive)
    assert code in (0, 1)
    assert capsys.readouterr().out == line


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", with_ipv6("::", id="[::]")])
def test_over_http(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With --health the daemon's port is asked, on loopback where it listens on all addresses."""
    clock = ManualClock()
    with running_health(host, clock=clock) as daemon:
        settings = Settings(health=Address(host, int(daemon.url.rpartition(":")[2])), control=Path("none"))
        assert health(settings) == 0
        assert health(settings._replace(check="ready")) == 1
        assert capsys.readouterr().out == "starting\nstarting\n"

        daemon.beat(COUNTS, troubles=["file cannot be written"], can_deliver=True)
        assert health(settings._replace(check="ready")) == 0
        clock.advance(6)
        assert health(settings) == 1
        assert capsys.readouterr().out == "".join(
            f"{state} (file cannot be written): {LINE}" for state in ("degraded", "stalled")
        )


def test_nobody_over_http() -> None:
    """If nobody listens there it is an error with the address and the reason."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address("127.0.0.1", listener.getsockname()[1])
        with pytest.raises(ControlError, match=rf"^no daemon answers: http://127\.0\.0\.1:{address.port}: no answer$"):
            health(Settings(health=address, timeout=0.01))
    with pytest.raises(ControlError, match=r": connection refused$"):
        health(Settings(health=address))
    with pytest.raises(ControlError, match=r": not a host name$"):
        health(Settings(health=Address(f"{'x' * 64}.test", 1)))


@pytest.mark.parametrize(
    "body",
    [
        b"", b"hello", b"[]", b"1", b"[" * 60_000, b"\xff", b"{}", answer("fine"), answer(None), answer([]), answer({}),
        b'{"error": "not understood"}',
    ],
)  # fmt: skip
def test_another_program(body: bytes, tmp_path: Path) -> None:
    """What is no answer of a daemon is an error, of which nothing is shown."""
    with http_server(b"HTTP/1.1 200 OK\r\n\r\n" + body) as address, pytest.raises(ControlError) as caught:
        health(Settings(health=address))
    assert str(caught.value) == f"http://127.0.0.1:{address.port}: {NO_CSM_OTEL}"

    path = tmp_path / "folder" / "sock"
    with answering(path, body + b"\n"), pytest.raises(ControlError) as caught:
        health(Settings(control=path))
    assert str(caught.value) in (f"{path}: {NO_CSM_OTEL}", f"the daemon at {path} does not answer")


def test_no_http() -> None:
    """A server of another protocol is no daemon."""
    with http_server(b"220 mail.test ESMTP\r\n") as address, pytest.raises(ControlError, match=NO_CSM_OTEL):
        health(Settings(health=address))


@pytest.mark.parametrize(
    "others",
    [
        {"troubles": "x"},
        {"troubles": ["\x1b[31m", "A", "a" * 41, None, 1, float("nan"), ["a"]]},
        {"troubles": None, "calls": "many"},
        {"datagrams_dropped_by_kernel": "x"},
    ],
)
def test_unknown_content(others: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Troubles that no daemon has are not shown, and no counts that are no numbers."""
    path = tmp_path / "folder" / "sock"
    with answering(path, answer("ok", **others)):
        assert health(Settings(control=path)) == 0
    assert capsys.readouterr().out == (f"ok: {LINE}" if len(others) == 1 and "troubles" in others else "ok\n")


def test_counts_of_another_system(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A system without a count of the kernel's drops has the others."""
    path = tmp_path / "folder" / "sock"
    with answering(path, answer("ok", datagrams_dropped_by_kernel=None)):
        assert health(Settings(control=path)) == 0
    assert "kernel drops unknown" in capsys.readouterr().out
    assert len(Snapshot._fields) > 1


def test_nothing_to_ask() -> None:
    """Without a port and a control socket it is a fault of the settings."""
    with pytest.raises(SettingsError, match=r"^--control: "):
        health(Settings(control=Path("none")))
