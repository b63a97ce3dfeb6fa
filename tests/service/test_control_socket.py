"""The control socket's path, and that no other user can use it."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import closing
from pathlib import Path

import pytest

from csm_otel.errors import ControlError
from csm_otel.service.control_socket import connect, default_path, default_paths, is_off, open_control_socket, remove

NAME = f"csm-otel-{os.geteuid()}/31000.sock"


def folders(monkeypatch: pytest.MonkeyPatch, **variables: Path | str) -> None:
    """Set the variables of folders, and remove the others."""
    for name in ("XDG_RUNTIME_DIR", "TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(name, str(variables.get(name, "")))


def test_default_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime folder of the user comes first, then the user's folder in the temporary ones, if they exist."""
    folders(monkeypatch, XDG_RUNTIME_DIR=tmp_path, TMPDIR="/missing", TMP=tmp_path)
    assert [tmp_path / "csm-otel/31000.sock", tmp_path / NAME, Path("/tmp", NAME)] == default_paths(31000)[:3]
    for unusable in ("relative", str(tmp_path / "missing")):
        folders(monkeypatch, XDG_RUNTIME_DIR=unusable, TMPDIR="relative", TEMP=unusable)
        assert default_paths(31000)[0] == Path("/tmp", NAME)


def accessible(monkeypatch: pytest.MonkeyPatch, *allowed: tuple[Path, int]) -> None:
    """Have the system grant what is allowed only: some access to some folders."""

    def access(path: Path, mode: int) -> bool:
        return any(folder == path and mode & ~mask == 0 for folder, mask in allowed)

    monkeypatch.setattr(os, "access", access)


def test_the_first_folder_that_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a read-only file system the daemon uses the first folder that can be written, its own if that exists."""
    folders(monkeypatch, XDG_RUNTIME_DIR=tmp_path, TMPDIR=tmp_path)
    search = (tmp_path, os.X_OK), (Path("/tmp"), os.X_OK)
    accessible(monkeypatch, *search, (Path("/tmp"), os.W_OK | os.X_OK))
    assert default_path(31000) == Path("/tmp", NAME)
    own = (tmp_path / NAME).parent
    accessible(monkeypatch, *search, (Path("/tmp"), os.W_OK | os.X_OK), (own, os.W_OK | os.X_OK))
    assert default_path(31000) == own / "31000.sock"


@pytest.mark.parametrize("is_there", [True, False], ids=["read-only", "missing"])
def test_no_folder(monkeypatch: pytest.MonkeyPatch, *, is_there: bool) -> None:
    """Without any the error says so; the working directory is never used."""
    folders(monkeypatch, XDG_RUNTIME_DIR="relative")
    accessible(monkeypatch, *([(Path("/tmp"), os.X_OK)] if is_there else []))
    assert default_paths(31000) == ([Path("/tmp", NAME)] if is_there else [])
    with pytest.raises(
        ControlError, match=r"^no runtime or temporary folder can be written; name a path with --control$"
    ):
        default_path(31000)


@pytest.mark.parametrize(
    ("control", "off"), [(None, False), (Path("none"), True), (Path(), True), (Path("./none.sock"), False)], ids=str
)
def test_off(control: Path | None, *, off: bool) -> None:
    """``none`` and an empty path switch it off."""
    assert off == is_off(control)


def test_only_its_owner_may_connect(tmp_path: Path) -> None:
    """The folder is created with mode 0700, the socket with 0600, whatever the umask, which is restored."""
    path = tmp_path / "folder/sock"
    umask = os.umask(0)
    try:
        with closing(open_control_socket(path)):
            assert os.umask(0) == 0
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            connect(path, timeout_seconds=60).close()
    finally:
        os.umask(umask)


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    """The socket of a daemon that was killed is replaced."""
    path = tmp_path / "sock"
    open_control_socket(path).close()
    with pytest.raises(ControlError, match="connection refused"):
        connect(path, timeout_seconds=60)
    with closing(open_control_socket(path)):
        connect(path, timeout_seconds=60).close()


@pytest.mark.parametrize("backlog", [64, 0], ids=["idle", "full"])
def test_a_socket_in_use_is_not_replaced(tmp_path: Path, backlog: int) -> None:
    """A daemon that listens at the path keeps it, however busy."""
    path = tmp_path / "sock"
    clients = []
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as listener:
        listener.bind(str(path))
        listener.listen(backlog)
        if not backlog:
            clients.append(connect(path, timeout_seconds=60))
        inode = path.stat().st_ino
        with pytest.raises(ControlError, match=r"in use by another csm-otel$"):
            open_control_socket(path)
        assert inode == path.stat().st_ino
    for client in clients:
        client.close()


def test_only_its_own_is_removed(tmp_path: Path) -> None:
    """A daemon that ends does not remove a socket that has replaced its own."""
    path = tmp_path / "sock"
    with closing(open_control_socket(path)):
        remove(path, path.stat().st_ino + 1)
        assert path.exists()
        remove(path, path.stat().st_ino)
    assert not path.exists()


def _open_folder(path: Path) -> None:
    path.parent.mkdir()
    path.parent.chmod(0o755)


def _link(path: Path) -> None:
    real = path.parent.with_name("real")
    real.mkdir(mode=0o700)
    path.parent.symlink_to(real)


def _file(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.write_text("precious", encoding="utf-8")


@pytest.mark.parametrize(
    ("prepare", "why"),
    [
        pytest.param(_open_folder, "is open to others, it needs mode 0700", id="open"),
        pytest.param(_link, "its folder is a link or a file", id="link"),
        pytest.param(lambda path: path.parent.write_text(""), "file exists", id="no-folder"),
        pytest.param(_file, "it exists and is not a socket", id="no-socket"),
        pytest.param(lambda _: None, "path too long", id="long"),
    ],
)
def test_an_unsafe_path(prepare: object, why: str, tmp_path: Path) -> None:
    """A folder that others may enter, or that leads elsewhere, is not used, and nothing in it is touched."""
    path = tmp_path / "folder" / ("sock" if "long" not in why else "x" * 150)
    assert callable(prepare)
    prepare(path)
    with pytest.raises(ControlError, match=why):
        open_control_socket(path)
    assert not path.exists() or path.read_text() == "precious"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.may_skip("only root gives files away")
def test_another_users_folder(tmp_path: Path) -> None:
    """A folder of the right name that another user has created first is not used."""
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65_534, 65_534)
    with pytest.raises(ControlError, match="belongs to another user"):
        open_control_socket(folder / "sock")
