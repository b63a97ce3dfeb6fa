"""Third-party programs that are installed once into the cache folder: `Installable`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from interop.install_jaeger import cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STEP_SECONDS = 1500.0  # the Collector took 790 on two cores with a load of ten


class InstallError(Exception):
    """Raised when all requirements of an installation are met and it still fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installable:
    """A third-party program at a version."""

    name: str
    version: str
    sources: tuple[str, ...]
    """Our files that it is built from or run by, below ``below``."""
    below: Path
    shelf: str
    """The folder in the cache."""
    installed_by: str
    """The command that installs it, for messages."""
    missing: Callable[[], str | None] = lambda: None
    """Returns the missing requirements of its installation or use, for an operator; None if there are none."""
    install: Callable[[Path], None] = lambda _: None
    """Fills an empty folder."""

    @property
    def folder(self) -> Path:
        """The installation folder: it differs by version and sources."""
        fingerprint = hashlib.sha256(self.version.encode())
        for source in self.sources:
            fingerprint.update((self.below / source).read_bytes())
        return cache_folder() / self.shelf / f"{self.name}-{fingerprint.hexdigest()[:12]}"

    @property
    def is_installed(self) -> bool:
        """Whether an installation was completed."""
        return (self.folder / "installed").exists()

    def why_not(self) -> str | None:
        """Return why it cannot be run, for an operator; None if it can."""
        if self.is_installed:
            return None
        if missing := self.missing():
            return f"{self.name} needs {missing}"
        return f"{self.name} is not installed: {self.installed_by} does it"


def missing_programs(*programs: str) -> str | None:
    """Return which programs are not on the PATH, for an operator; None if all are."""
    missing = [program for program in programs if shutil.which(program) is None]
    return f"{' and '.join(missing)} on the PATH" if missing else None


def step(*command: str | Path, cwd: Path | None = None, **environment: str) -> None:
    """Run a command that must succeed.

    Raises:
        InstallError: it fails or takes too long; with the last lines it printed, on whichever stream.
    """
    try:
        done = run(command, seconds=STEP_SECONDS, cwd=cwd, environment=environment)
    except subprocess.TimeoutExpired as late:
        message = f"{command[0]} took longer than {STEP_SECONDS:.0f} s"
        raise InstallError(message) from late
    if done.returncode:
        last_lines = "\n".join((done.stderr or done.stdout).strip().splitlines()[-10:])
        message = f"{command[0]} failed with exit code {done.returncode}:\n{last_lines}"
        raise InstallError(message)


def run(
    command: tuple[str | Path, ...],
    *,
    seconds: float,
    cwd: Path | None = None,
    environment: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command and return its result."""
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
