"""The third-party programs, built from their Go modules into the cache folder of `make interop`.

Run as ``python -m soak.peers.installed``.
"""

from __future__ import annotations

import re
import sys
from functools import partial
from pathlib import Path

from interop.install_senders import install_all
from interop.installable import Installable, missing_programs, step

_SOURCES = Path(__file__).with_name("go")
_STATSD_VERSION = "0.31.0"
COLLECTOR_VERSION = re.findall(r"collector/otelcol v(\S+)", (_SOURCES / "go.mod").read_text("utf-8"))[0]

_Peer = partial(
    Installable, below=_SOURCES, shelf="peers", installed_by="make peers", missing=partial(missing_programs, "go")
)


def collector() -> Installable:
    """Return a Collector with the necessary components only, each pinned by go.sum."""

    def install(folder: Path) -> None:
        flags = ("-mod=readonly", "-buildvcs=false")
        step("go", "build", *flags, "-o", folder / "otelcol", ".", cwd=_SOURCES, GOWORK="off")

    return _Peer(name="otelcol", version=COLLECTOR_VERSION, sources=("main.go", "go.mod", "go.sum"), install=install)


def statsd_exporter() -> Installable:
    """Return statsd_exporter as its own go.sum pins it."""

    def install(folder: Path) -> None:
        step(
            "go",
            "install",
            f"github.com/prometheus/statsd_exporter@v{_STATSD_VERSION}",
            GOBIN=str(folder),
            GOWORK="off",
        )

    return _Peer(name="statsd_exporter", version=_STATSD_VERSION, sources=(), install=install)


if __name__ == "__main__":
    sys.exit(install_all((collector(), statsd_exporter())))
