"""Build the check of a dashboard against Grafana's published schema into the cache folder; Grafana itself is not built.

Run as ``python -m interop.install_grafana``.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

from interop.install_senders import install_all
from interop.installable import Installable, missing_programs, step

_SOURCES = Path(__file__).with_name("grafana")
_FILES = ("main.go", "go.mod", "go.sum")


def dashboard_check() -> Installable:
    """Return the check, installed or not; go.sum pins the schema."""
    (version,) = re.findall(r"grafana-foundation-sdk/go v(\S+)", (_SOURCES / "go.mod").read_text("utf-8"))
    return Installable(
        name="dashboardcheck",
        version=version,
        sources=_FILES,
        below=_SOURCES,
        shelf="grafana",
        installed_by="make interop",
        missing=partial(missing_programs, "go"),
        install=_install,
    )


def _install(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for name in _FILES:
            shutil.copy(_SOURCES / name, scratch)
        flags = ("-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags=-s -w")
        step("go", "build", *flags, "-o", folder / "dashboardcheck", ".", cwd=Path(scratch), GOWORK="off")


if __name__ == "__main__":
    sys.exit(install_all((dashboard_check(),)))
