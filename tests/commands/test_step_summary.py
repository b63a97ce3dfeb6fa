"""The file of a step's summary: what was there stays, and counts."""

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

import pytest
from platforms import on_linux

from csm_otel.commands.step_summary import append_step_summary
from csm_otel.report.markdown import MAX_BYTES

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("before", "after", "room"),
    [
        pytest.param(None, "### ä\n", MAX_BYTES, id="no-file"),
        pytest.param("", "### ä\n", MAX_BYTES, id="empty"),
        pytest.param("# mine", "# mine\n\n### ä\n", MAX_BYTES - 8, id="appended"),
        pytest.param("# mine\n", "# mine\n\n\n### ä\n", MAX_BYTES - 9, id="behind-a-line"),
    ],
)
def test_appended(before: str | None, after: str, room: int, tmp_path: Path) -> None:
    """It is below what is there; the room is what is left of it."""
    path = tmp_path / "summary"
    if before is not None:
        path.write_text(before, "utf-8")
    said: list[str] = []
    rooms: list[int] = []

    def render(room_bytes: int) -> str:
        rooms.append(room_bytes)
        return "### ä\n"

    assert append_step_summary({"GITHUB_STEP_SUMMARY": str(path)}, render, say=said.append)
    assert (path.read_text("utf-8"), rooms, said) == (after, [room], [])


def test_no_room(tmp_path: Path) -> None:
    """What was there is left as it is, and a line says so."""
    path = tmp_path / "summary"
    path.write_bytes(b"x" * MAX_BYTES)
    said: list[str] = []

    def render(room_bytes: int) -> None:
        assert room_bytes == -2

    assert not append_step_summary({"GITHUB_STEP_SUMMARY": str(path)}, render, say=said.append)
    assert said == [f"--step-summary: {path}: no room is left of the 1,048,576 bytes that GitHub shows"]
    assert path.read_bytes() == b"x" * MAX_BYTES


def test_two_at_once(tmp_path: Path) -> None:
    """The room is what the other leaves that is appending."""
    path = tmp_path / "summary"
    rooms: list[int] = []

    def render(room_bytes: int) -> str:
        rooms.append(room_bytes)
        return "mine"

    with path.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        def finish(_seconds: float) -> None:
            other.write(b"other")
            other.close()

        assert append_step_summary({"GITHUB_STEP_SUMMARY": str(path)}, render, say=pytest.fail, pause=finish)
    assert (rooms, path.read_bytes()) == ([MAX_BYTES - 7], b"other\n\nmine")


def test_a_lock_that_is_kept(tmp_path: Path) -> None:
    """It does not keep the command's result for more than a second."""
    path = tmp_path / "summary"
    pauses: list[float] = []
    with path.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        environ = {"GITHUB_STEP_SUMMARY": str(path)}
        assert append_step_summary(environ, lambda _: "mine", say=pytest.fail, pause=pauses.append)
    assert 0 < sum(pauses) < 1.1
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        pytest.param("", "GITHUB_STEP_SUMMARY is not set", id="not-set"),
        pytest.param("{}", "{}: is a directory", id="folder"),
        pytest.param("{}/no/file", "{}/no/file: no such file or directory", id="missing"),
    ],
)
def test_not_written(path: str, reason: str, tmp_path: Path) -> None:
    """It is one line."""
    said: list[str] = []
    environ = {"GITHUB_STEP_SUMMARY": path.format(tmp_path)}
    assert not append_step_summary(environ, lambda _: "x", say=said.append)
    assert said == [f"--step-summary: {reason.format(tmp_path)}"]


@on_linux
def test_a_full_disk() -> None:
    """It is one line."""
    said: list[str] = []
    assert not append_step_summary({"GITHUB_STEP_SUMMARY": "/dev/full"}, lambda _: "x", say=said.append)
    assert said == ["--step-summary: /dev/full: no space left on device"]
