"""A request to a daemon and the reading of its answer. Real daemons are in tests/e2e."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest
from otlp_backend import DEADLINE_SECONDS
from service.answering import answering

from csm_otel.errors import ControlError, SettingsError
from csm_otel.service import control_client, control_socket
from csm_otel.service.control_client import ask, paths_to_daemon


def asked(*paths: Path) -> dict[str, object]:
    """Return the answer to a request."""
    return ask(paths, {"do": "rest"}, connect_seconds=DEADLINE_SECONDS, answer_seconds=DEADLINE_SECONDS)


def test_an_answer_in_pieces() -> None:
    """An answer in pieces is read up to the end of the line."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for piece in (b'{"a"', b": 1}", b"\n"):
            theirs.sendall(piece)
        assert control_client._line(ours, time.monotonic() + DEADLINE_SECONDS) == b'{"a": 1}\n'


def test_the_first_daemon_is_asked(tmp_path: Path) -> None:
    """The paths are tried in their order; if no daemon is reached all of them are named."""
    missing, there = tmp_path / "missing", tmp_path / "folder" / "sock"
    with answering(there, b'{"a": 1}\n') as lines:
        assert asked(missing, there) == {"a": 1}
    assert json.loads(lines[0]) == {"do": "rest"}

    with pytest.raises(ControlError) as caught:
        asked(missing, there)
    assert str(caught.value).startswith("no daemon answers: ")
    assert all(str(path) in str(caught.value) for path in (missing, there))


@pytest.mark.parametrize("line", [b"", b"\xff\n", b"[]\n", b"[" * 60_000])
def test_no_answer(line: bytes, tmp_path: Path) -> None:
    """What is no object is no answer, of the daemon at that path."""
    path = tmp_path / "folder" / "sock"
    with answering(path, line), pytest.raises(ControlError, match=f"^the daemon at {path} does not answer$"):
        asked(path)


def test_a_daemon_that_hangs(tmp_path: Path) -> None:
    """A daemon that never answers is given up."""
    with control_socket.open_control_socket(tmp_path / "folder" / "sock") as sock:
        path = Path(sock.getsockname())
        with pytest.raises(ControlError, match=f"^the daemon at {path} does not answer$"):
            ask([path], {"do": "rest"}, connect_seconds=0, answer_seconds=0)


def test_paths_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the default paths those count at which there is something; else the first, for the error."""
    paths = [tmp_path / "a", tmp_path / "b", tmp_path / "c"]
    monkeypatch.setattr(control_socket, "default_paths", lambda _port: paths)
    assert paths_to_daemon(None, 1) == paths[:1]
    for path in paths[1:]:
        path.touch()
    assert paths_to_daemon(None, 1) == paths[1:]
    paths.clear()
    with pytest.raises(ControlError, match=r"^no daemon answers: there is no runtime or temporary folder; name its"):
        paths_to_daemon(None, 1)


def test_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """The path is that of --control, else one of the default paths for the port; none if it is switched off."""
    monkeypatch.setattr(control_socket, "default_paths", lambda port: [Path(f"/{port}")])
    assert paths_to_daemon(Path("/a"), 1) == [Path("/a")]
    assert paths_to_daemon(None, 4242) == [Path("/4242")]
    with pytest.raises(SettingsError, match=r"^--control: it is switched off, so no daemon can be reached$"):
        paths_to_daemon(Path("none"), 1)
