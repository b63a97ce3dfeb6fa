"""Build the OpenTelemetry Collector into the cache folder, with only the components that collector-config/ names.

Run as ``python -m interop.install_collector``.
"""

from __future__ import annotations

import re
import sys
from functools import partial
from pathlib import Path

from interop.install_senders import install_all
from interop.installable import Installable, missing_programs, step

_SOURCES = Path(__file__).with_name("otelcol")


def otelcol() -> Installable:
    """Return the Collector, installed or not; go.sum pins each of its modules."""
    (version,) = re.findall(r"collector/otelcol v(\S+)", (_SOURCES / "go.mod").read_text("utf-8"))
    return Installable(
        name="otelcol",
        version=version,
        sources=("main.go", "go.mod", "go.sum"),
        below=_SOURCES,
        shelf="collector",
        installed_by="make interop",
        missing=partial(missing_programs, "go"),
        install=_install,
    )


def _install(folder: Path) -> None:
    flags = ("-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags=-s -w")  # half as large without symbols
    step("go", "build", *flags, "-o", folder / "otelcol", ".", cwd=_SOURCES, GOWORK="off")


if __name__ == "__main__":
    sys.exit(install_all((otelcol(),)))
