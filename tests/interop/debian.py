"""Debian's programs that examples and units are tested with: installed where they are missing and apt-get may.

Run as ``python -m interop.debian``.
"""

from __future__ import annotations

import os
import shutil
import sys

from interop.installable import InstallError, step

PACKAGES = {"systemd-analyze": "systemd", "cron": "cron", "make": "make"}
"""The package of each program."""


def why_not(program: str) -> str | None:
    """Return why a program cannot be run, for an operator; None if it can."""
    return None if _is_there(program) else f"{program} is missing: make interop installs Debian's {PACKAGES[program]}"


def install_missing() -> int:
    """Install what is missing, where that is possible, and return the exit code."""
    missing = [package for program, package in PACKAGES.items() if not _is_there(program)]
    if not missing:
        return 0
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        sys.stderr.write(f"{', '.join(missing)}: skipped, only apt-get as root installs them\n")
        return 0
    try:
        step("apt-get", "update", "-qq")
        step("apt-get", "install", "-qq", "--no-install-recommends", *missing, DEBIAN_FRONTEND="noninteractive")
    except InstallError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _is_there(program: str) -> bool:
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is not None


if __name__ == "__main__":
    sys.exit(install_missing())
