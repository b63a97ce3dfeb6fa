"""The packages of this checkout, and their installation into clean environments."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from interop.install_packagers import program

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 300.0


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """Run a command that must succeed, without variables of Python or ours, and return what it prints on stdout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CSM_OTEL_", "OTEL_"))}
    done = subprocess.run(
        command, cwd=cwd, env=kept | variables, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=DEADLINE_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def make_dist(folder: Path) -> tuple[Path, Path]:
    """Build the packages with ``make dist`` and return the wheel and the sdist."""
    run("make", "dist", f"DIST={folder}", cwd=ROOT)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    assert len(list(folder.iterdir())) == 2
    return wheel, sdist


def by_pip(wheel: Path, folder: Path) -> Path:
    """Install a wheel or a clone by pip into a new virtual environment and return the program."""
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    run(folder / "venv/bin/python", "-m", "pip", "--disable-pip-version-check", "install", wheel, cwd=folder)
    return folder / "venv/bin/csm-otel"


def by_pipx(wheel: Path, folder: Path) -> Path:
    """Install a wheel or a clone by pipx and return the program."""
    folders = {f"PIPX_{name}": str(folder / name.lower()) for name in ("HOME", "BIN_DIR", "MAN_DIR")}
    run(program("pipx"), "install", "--python", sys.executable, wheel, cwd=folder, **folders)
    assert (folder / "man_dir/man1/csm-otel.1").is_file()
    return folder / "bin_dir/csm-otel"


def by_uv(wheel: Path, folder: Path) -> Path:
    """Install a wheel or a clone by uv and return the program."""
    folders = {f"UV_TOOL_{name}": str(folder / name.lower()) for name in ("DIR", "BIN_DIR")}
    run(program("uv"), "tool", "install", "--python", sys.executable, wheel, cwd=folder, **folders)
    return folder / "bin_dir/csm-otel"


INSTALLERS: dict[str, Callable[[Path, Path], Path]] = {"pip": by_pip, "pipx": by_pipx, "uv": by_uv}
"""Each installs a wheel or a clone into a folder and returns the program."""
