"""Install a browser and what drives it: Debian's chromium, and Playwright with axe in the cache folder.

Run as ``python -m interop.install_browser``.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from interop.install_senders import install_all
from interop.installable import Installable, InstallError, run, step

if TYPE_CHECKING:
    import subprocess

PINS = ("playwright==1.65.2", "axe-playwright-python==0.1.8")  # the latter has axe-core 4.12.1
CHROMIUM = "chromium"
CHECKS = Path(__file__).with_name("page_checks.py")
CHECK_SECONDS = 600.0  # 100,000 calls take a minute


def browser() -> Installable:
    """Return what drives Chromium, installed or not."""
    return Installable(
        name="playwright",
        version=" ".join(PINS),
        sources=(),
        below=Path(__file__).parent,
        shelf="browser",
        installed_by="make interop",
        missing=_missing,
        install=_install,
    )


def check_page(page: Path, *folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `page_checks` and return its result."""
    python = browser().folder / "venv" / "bin" / "python"
    return run((python, CHECKS, page, *folder), seconds=CHECK_SECONDS)


def why_no_browser() -> str | None:
    """Return why no page can be opened, for an operator; None if one can."""
    return browser().why_not() or (None if shutil.which(CHROMIUM) else f"{_missing() or 'Chromium'}: make interop")


def _missing() -> str | None:
    if shutil.which(CHROMIUM) or (shutil.which("apt-get") and os.geteuid() == 0):
        return None
    return "Debian's chromium (apt-get as root installs it)"


def _install(folder: Path) -> None:
    step(sys.executable, "-m", "venv", folder / "venv")
    pip = (folder / "venv" / "bin" / "python", "-m", "pip", "--disable-pip-version-check")
    step(*pip, "install", "--quiet", *PINS, PIP_NO_CACHE_DIR="")


def _install_chromium() -> None:
    if shutil.which(CHROMIUM) is None and _missing() is None:
        step("apt-get", "update", "-qq")
        step("apt-get", "install", "-qq", "--no-install-recommends", CHROMIUM, DEBIAN_FRONTEND="noninteractive")


def main() -> int:
    """Install both; Chromium also where the cache folder is from another machine."""
    try:
        _install_chromium()
    except InstallError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return install_all((browser(),))


if __name__ == "__main__":
    sys.exit(main())
