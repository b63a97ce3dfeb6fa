"""Install what packages are installed and checked with: pipx, uv, checkers, and shells with their manuals.

The former go into the cache folder, Debian's are installed system-wide. Run as ``python -m interop.install_packagers``.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from interop.install_senders import install_all
from interop.installable import Installable, InstallError, missing_programs, step

PINS = (
    "pipx==1.18.4",
    "uv==0.13.9",
    "twine==7.0.0",
    "check-wheel-contents==0.6.3",
    "check-jsonschema==0.39.0",  # has the schemas of CI systems
)
SHELLS = ("bash", "zsh", "fish")
PROGRAMS = (*SHELLS, "man", "mandoc")
PACKAGES = (*SHELLS, "bash-completion", "man-db", "mandoc")
BASH_COMPLETION = Path("/usr/share/bash-completion/bash_completion")


def packagers() -> Installable:
    """Return the Python programs, installed or not."""
    return Installable(
        name="packagers",
        version=" ".join(PINS),
        sources=(),
        below=Path(__file__).parent,
        shelf="packagers",
        installed_by="make interop",
        install=_install,
    )


def program(name: str) -> Path:
    """Return the path of one of the Python programs."""
    return packagers().folder / "venv/bin" / name


def why_no_packagers() -> str | None:
    """Return why packages cannot be installed and checked, for an operator; None if they can."""
    return packagers().why_not()


def why_no_shells() -> str | None:
    """Return which of Debian's programs are missing, for an operator; None if all are there."""
    return missing_programs(*PROGRAMS) or (None if BASH_COMPLETION.exists() else f"no {BASH_COMPLETION}")


def _install(folder: Path) -> None:
    step(sys.executable, "-m", "venv", folder / "venv")
    pip = (folder / "venv/bin/python", "-m", "pip", "--disable-pip-version-check")
    step(*pip, "install", "--quiet", *PINS, PIP_NO_CACHE_DIR="")


def _install_shells() -> None:
    if why_no_shells() and shutil.which("apt-get") and os.geteuid() == 0:
        step("apt-get", "update", "-qq")
        step("apt-get", "install", "-qq", "--no-install-recommends", *PACKAGES, DEBIAN_FRONTEND="noninteractive")


def main() -> int:
    """Install all; the shells also where the cache folder is from another machine."""
    try:
        _install_shells()
    except InstallError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return install_all((packagers(),))


if __name__ == "__main__":
    sys.exit(main())
