"""A systemd of its own for a test: a user manager, in a folder, on a machine that need not have booted with systemd."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from otlp_backend import DEADLINE_SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

_SYSTEMD = Path("/lib/systemd/systemd")
_LOCK = Path(tempfile.gettempdir(), "csm-otel-user-manager.lock")
# It refuses to run where this folder is missing. A mount namespace of its own hides the change from everybody else.
_START = f"mount -t tmpfs none /run && mkdir -p /run/systemd/system && exec {_SYSTEMD} --user --unit=basic.target"


class UserManager:
    """Runs units."""

    def __init__(self, folder: Path) -> None:
        """Keep everything in an empty folder with a short path, as a unix socket's is."""
        self.units, self.runtime, self.state = folder / "config/systemd/user", folder / "run", folder / "config"
        self.units.mkdir(parents=True)
        self.runtime.mkdir(mode=0o700)
        places = {"HOME": folder, "XDG_CONFIG_HOME": folder / "config", "XDG_RUNTIME_DIR": self.runtime}
        self._environ = {"PATH": os.environ["PATH"], **{name: str(path) for name, path in places.items()}}

    @contextlib.contextmanager
    def running(self) -> Generator[None]:
        """Run it until the block ends, and then stop all units; one at a time on this machine.

        Those that run side by side have the same cgroup, so that one that stops a unit ends the other's of that name.
        """
        with _LOCK.open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with self._running():
                yield

    @contextlib.contextmanager
    def _running(self) -> Generator[None]:
        log = self.runtime.with_name("log").open("wb")
        command = ["unshare", "--mount", "sh", "-c", _START]
        environ = {**self._environ, "SYSTEMD_LOG_TARGET": "console"}
        with log, subprocess.Popen(command, env=environ, stdout=log, stderr=log) as process:
            try:
                wait_until(lambda: process.poll() is not None or self._is_up())
                assert process.poll() is None, self.runtime.with_name("log").read_text(encoding="utf-8")
                yield
            finally:
                process.terminate()
                process.wait(DEADLINE_SECONDS)

    def add(self, name: str, text: str) -> None:
        """Write a unit's file; of a running manager call ``systemctl("daemon-reload")``."""
        (self.units / name).write_text(text, encoding="utf-8")

    def systemctl(self, *words: str) -> str:
        """Run systemctl, which must succeed, and return what it printed."""
        done = subprocess.run(
            ["systemctl", "--user", "--no-pager", *words],
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def show(self, unit: str, *properties: str) -> list[str]:
        """Return properties of a unit."""
        return [self.systemctl("show", "--value", "-p", name, unit).strip() for name in properties]

    def _is_up(self) -> bool:
        if not (self.runtime / "systemd/private").exists():
            return False
        done = subprocess.run(
            ["systemctl", "--user", "is-active", "--quiet", "basic.target"],
            env=self._environ,
            check=False,
            timeout=DEADLINE_SECONDS,
        )
        return done.returncode == 0


def substituted(text: str, changes: Mapping[str, str]) -> str:
    """Return a unit's text with parts replaced, each of which must be there."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text
