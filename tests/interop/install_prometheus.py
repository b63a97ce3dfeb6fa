"""Unpack Debian's Prometheus, with promtool, into the cache folder: no service is installed or started.

Run as ``python -m interop.install_prometheus``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from interop.install_senders import install_all
from interop.installable import Installable, InstallError, missing_programs, step

_ROOT = 0


def prometheus() -> Installable:
    """Return Prometheus, installed or not."""
    return Installable(
        name="prometheus",
        version="Debian's",
        sources=(),
        below=Path(__file__).parent,
        shelf="prometheus",
        installed_by="make interop",
        missing=lambda: missing_programs("apt-get", "dpkg-deb"),
        install=_install,
    )


def program(name: str) -> Path:
    """Return the path of ``prometheus`` or ``promtool``."""
    return prometheus().folder / "usr" / "bin" / name


def _install(folder: Path) -> None:
    if os.geteuid() == _ROOT:
        step("apt-get", "update", "-qq")
    step("apt-get", "download", "-qq", "prometheus", cwd=folder)
    for package in folder.glob("prometheus_*.deb"):
        step("dpkg-deb", "--extract", package, folder)
        package.unlink()
    if not program("promtool").is_file():
        message = "Debian's prometheus has no promtool"
        raise InstallError(message)


if __name__ == "__main__":
    sys.exit(install_all((prometheus(),)))
