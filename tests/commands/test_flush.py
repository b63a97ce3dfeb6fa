"""The request of `flush` to a daemon, and its reading of the answer. Real daemons are in tests/e2e/test_flush.py."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from csm_otel.commands import flush as flush_command
from csm_otel.commands.flush import flush
from csm_otel.config.settings import Settings
from csm_otel.errors import ControlError, SettingsError
from csm_otel.process.speaker import Speaker
from csm_otel.service import control_socket
from csm_otel.service.control_socket import open_control_socket
from csm_otel.tally import Snapshot

if TYPE_CHECKING:
    from collections.abc import Generator

DEADLINE_SECONDS = 30.0
COUNTS = dict.fromkeys(Snapshot._fields, 0) | {"datagrams_received": 3}


@contextmanager
def daemon(path: Path, answer: bytes) -> Generator[list[bytes]]:
    """Listen at a path, answer one connection, and yield a list that receives its request."""
    asked: list[bytes] = []
    sock = open_control_socket(path)
    sock.settimeout(DEADLINE_SECONDS)

    def serve() -> None:
        connection, _ = sock.accept()
        with connection:
            connection.settimeout(DEADLINE_SECONDS)
            asked.append(connection.recv(1000))
            connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield asked
    finally:
        thread.join(DEADLINE_SECONDS)
        sock.close()


def answer(**fields: Any) -> bytes:
    """Return a daemon's answer: its counts, and these fields."""
    return json.dumps({**COUNTS, **fields}).encode() + b"\n"


@pytest.mark.parametrize(
    ("fields", "code", "output"),
    [
        pytest.param({"delivered": True, "why_not": ""}, 0, "", id="delivered"),
        pytest.param(
            {"delivered": False, "why_not": "2 spans wait"},
            1,
            "csm-otel: not all was delivered: 2 spans wait\n",
            id="not-delivered",
        ),
    ],
)
def test_answer(
    fields: dict[str, Any], code: int, output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The counts go to stdout, the exit code says whether all was delivered, and a line why not."""
    stream, path = io.StringIO(), tmp_path / "folder" / "sock"
    with daemon(path, answer(**fields)) as asked:
        assert flush(Settings(control=path, timeout=2.5), Speaker(stream)) == code

    assert json.loads(asked[0]) == {"do": "flush", "timeout_seconds": 2.5}
    assert capsys.readouterr().out.startswith("3 datagrams received, 0 dropped by the kernel")
    assert stream.getvalue() == output


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param(b"", "does not answer", id="nothing"),
        pytest.param(b"\xff\n", "does not answer", id="no-text"),
        pytest.param(b"[]\n", "does not answer", id="no-object"),
        pytest.param(b"{}\n", "no answer to a flush", id="another-answer"),
        pytest.param(b'{"error": "unknown command"}\n', "unknown command", id="an-error"),
        pytest.param(b'{"delivered": true, "why_not": ""}\n', "no answer to a flush", id="no-counts"),
    ],
)
def test_no_answer_to_a_flush(text: bytes, why: str, tmp_path: Path) -> None:
    """Any other answer is an error with the path."""
    path = tmp_path / "folder" / "sock"
    with daemon(path, text), pytest.raises(ControlError) as caught:
        flush(Settings(control=path), Speaker(io.StringIO()))

    assert str(path) in str(caught.value)
    assert why in str(caught.value)


def test_an_answer_in_pieces() -> None:
    """An answer in pieces is read up to the end of the line."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for piece in (b'{"a"', b": 1}", b"\n"):
            theirs.sendall(piece)
        assert flush_command._line(ours, time.monotonic() + DEADLINE_SECONDS) == b'{"a": 1}\n'


def test_the_first_daemon_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --control the default paths are tried in their order."""
    missing, there = tmp_path / "missing", tmp_path / "folder" / "sock"
    ports = []

    def default_paths(port: int) -> list[Path]:
        ports.append(port)
        return [missing, there]

    monkeypatch.setattr(control_socket, "default_paths", default_paths)
    with daemon(there, answer(delivered=True, why_not="")):
        assert flush(Settings(port=4242), Speaker(io.StringIO())) == 0
    with pytest.raises(ControlError) as caught:
        flush(Settings(port=4242), Speaker(io.StringIO()))

    assert ports == [4242, 4242]
    assert str(caught.value).startswith("no daemon answers: ")
    assert all(str(path) in str(caught.value) for path in (missing, there))


def test_switched_off() -> None:
    """If the control socket is switched off no daemon can be asked, which is a fault of the settings."""
    with pytest.raises(SettingsError, match=r"^--control: "):
        flush(Settings(control=Path("none")), Speaker(io.StringIO()))
