"""The control socket's path, and who may use it: for the daemon and its clients.

Without ``--control`` it is ``PORT.sock`` in a folder that both sides derive: ``csm-otel`` in the user's runtime folder
($XDG_RUNTIME_DIR, else /run/user/UID, as a cron job has no such variable), else ``csm-otel-UID`` in a temporary one.
The socket has mode 0600 and its folder 0700: only their owner, and root, may connect.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

from csm_otel.errors import ControlError, reason_of

if TYPE_CHECKING:
    from collections.abc import Generator

_OFF = (Path("none"), Path())  # `Path("")` is the latter
_BACKLOG = 64
_OTHERS = 0o077
_RETRY_SECONDS = 0.02


def is_off(control: Path | None) -> bool:
    """Return whether the setting asks for no control socket."""
    return control in _OFF


def default_paths(port: int) -> list[Path]:
    """Return the paths at which the socket of the daemon on a port may be, the likeliest first.

    Unlike `tempfile.gettempdir` this writes nothing, so that a full disk does not hide a daemon, and never falls back
    to the working directory, in which nobody searches.
    """
    name, user = f"{port}.sock", os.geteuid()
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{user}")
    folders = []
    with contextlib.suppress(OSError):
        if runtime.is_absolute() and runtime.is_dir() and runtime.stat().st_uid == user:
            folders.append(runtime / "csm-otel")
    given = [os.environ.get(variable) for variable in ("TMPDIR", "TEMP", "TMP")]
    temporary = [Path(folder) for folder in (*given, "/tmp", "/var/tmp") if folder]  # ruff: ignore[hardcoded-temp-file] - of all users, see `_check`
    folders += [
        folder / f"csm-otel-{user}" for folder in temporary if folder.is_absolute() and os.access(folder, os.X_OK)
    ]
    return [folder / name for folder in dict.fromkeys(folders)]


def default_path(port: int) -> Path:
    """Return the first of the paths at which the daemon on a port can create its socket.

    Raises:
        ControlError: there is none.
    """
    for path in default_paths(port):
        folder = path.parent if os.access(path.parent, os.F_OK) else path.parent.parent
        if os.access(folder, os.W_OK | os.X_OK):
            return path
    raise ControlError("no runtime or temporary folder can be written; name a path with --control")


def open_control_socket(path: Path) -> socket.socket:
    """Return a socket that listens at ``path``, in place of one that a daemon left behind when it ended.

    Raises:
        ControlError: the folder is not private, or a running daemon listens there.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _private_folder(path.parent):
            _remove_stale(path)
            return _listen(path)
    except OSError as error:
        raise ControlError(f"{path}: {_why(error)}") from error


def connect(path: Path, *, timeout_seconds: float) -> socket.socket:
    """Return a connection to the daemon at ``path``.

    Raises:
        ControlError: no daemon listens there, or it may be another user's.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout_seconds)
    try:
        # In a temporary folder another user may have created the path first.
        is_ours = os.geteuid() in (0, path.stat().st_uid)
        _connect(sock, path, time.monotonic() + timeout_seconds)
    except OSError as error:
        sock.close()
        raise ControlError(f"{path}: {_why(error)}") from error
    if not is_ours:
        sock.close()
        raise ControlError(f"{path}: it belongs to another user")
    return sock


def remove(path: Path, inode: int) -> None:
    """Remove the socket if it still has that inode, and is no other daemon's."""
    with contextlib.suppress(OSError):
        if path.lstat().st_ino == inode:
            path.unlink()


@contextlib.contextmanager
def _private_folder(folder: Path) -> Generator[None]:
    """Hold a lock on the folder, so that of two daemons that find a stale socket only one replaces it.

    Raises:
        ControlError: others may write there.
    """
    # Not through a link, which could be another user's in a temporary folder.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _check(os.fstat(descriptor), folder)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _check(folder: os.stat_result, path: Path) -> None:
    if folder.st_uid != os.geteuid():
        raise ControlError(f"{path} belongs to another user")
    if stat.S_IMODE(folder.st_mode) & _OTHERS:
        raise ControlError(f"{path} is open to others, it needs mode 0700")


def _remove_stale(path: Path) -> None:
    if not path.is_symlink() and not path.exists():
        return
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise ControlError(f"{path}: it exists and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:  # alive, and its backlog full
            pass
    raise ControlError(f"{path}: in use by another csm-otel")


def _listen(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)
    try:
        sock.bind(str(path))
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(umask)
    return sock


def _connect(sock: socket.socket, path: Path, deadline: float) -> None:
    while True:
        try:
            sock.connect(str(path))
        except BlockingIOError:  # its backlog is full; connecting a unix socket does not wait for it
            if time.monotonic() >= deadline:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return


def _why(error: OSError) -> str:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return "its folder is a link or a file"
    if isinstance(error, TimeoutError | BlockingIOError):
        return "no answer"
    return reason_of(error)
