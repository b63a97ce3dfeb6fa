"""The control socket's path, and that no other user can use it."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from csm_otel.errors import ControlError
from csm_otel.service.control_socket import connect, default_paths, is_off, open_control_socket, remove


def test_default_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime folder of the user comes first, then the user's folder in the temporary one."""
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    temporary = Path(f"/tmp/csm-otel-{os.geteuid()}/31000.sock")
    assert [tmp_path / "csm-otel/31000.sock", temporary] == default_paths(31000)
    for unusable in ("relative", str(tmp_path / "missing")):
        monkeypatch.setenv("XDG_RUNTIME_DIR", unusable)
        assert [temporary] == default_paths(31000)


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
