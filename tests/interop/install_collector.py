"""Build the OpenTelemetry Collector into the cache folder, with only the components that collector-config/ names.

Run as ``python -m interop.install_collector``.

All modules are of one release but for the connector `service_graph`: the module proxy serves its v0.100.0 and none near
the others. It and what it uses of the Collector have other names since, so it is built from a copy with those.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

from interop.install_senders import install_all
from interop.installable import Installable, InstallError, missing_programs, run, step

_SOURCES = Path(__file__).with_name("otelcol")
_FILES = ("main.go", "go.mod", "go.sum")
_SERVICE_GRAPH = "github.com/open-telemetry/opentelemetry-collector-contrib/connector/servicegraphconnector"
_RENAMED = {
    "generated_status.go": (('MustNewType("servicegraph")', 'MustNewType("service_graph")'),),
    "factory.go": (("connector.CreateSettings", "connector.Settings"),),
    "connector.go": (
        ("component.DataTypeMetrics", "pipeline.SignalMetrics"),
        ("component.DataType", "pipeline.Signal"),
        ('"go.opentelemetry.io/collector/processor"', '"go.opentelemetry.io/collector/pipeline"'),
        ("var _ processor.Traces = (*serviceGraphConnector)(nil)", ""),
    ),
}


def otelcol() -> Installable:
    """Return the Collector, installed or not; go.sum pins each of its modules."""
    (version,) = re.findall(r"collector/otelcol v(\S+)", (_SOURCES / "go.mod").read_text("utf-8"))
    return Installable(
        name="otelcol",
        version=version,
        sources=(*_FILES, f"../{Path(__file__).name}"),  # which renames
        below=_SOURCES,
        shelf="collector",
        installed_by="make interop",
        missing=partial(missing_programs, "go"),
        install=_install,
    )


def _install(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        sources = Path(scratch)
        for name in _FILES:
            shutil.copy(_SOURCES / name, sources)
        step("go", "mod", "download", _SERVICE_GRAPH, cwd=sources, GOWORK="off")  # compared with go.sum
        found = run(("go", "list", "-m", "-f", "{{.Dir}}", _SERVICE_GRAPH), seconds=60, cwd=sources)
        _copy_renamed(Path(found.stdout.strip()), sources / "servicegraph")
        step("go", "mod", "edit", "-replace", f"{_SERVICE_GRAPH}=./servicegraph", cwd=sources, GOWORK="off")
        flags = ("-mod=readonly", "-buildvcs=false", "-ldflags=-s -w")  # half as large without symbols
        step("go", "build", *flags, "-o", folder / "otelcol", ".", cwd=sources, GOWORK="off")


def _copy_renamed(module: Path, copy: Path) -> None:
    for path in (*module.rglob("*.go"), module / "go.mod"):
        if path.name.endswith("_test.go"):
            continue
        text = path.read_text("utf-8")
        for old, new in _RENAMED.get(path.name, ()):
            if old not in text:
                raise InstallError(f"{path} has no {old}")
            text = text.replace(old, new)
        target = copy / path.relative_to(module)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")


if __name__ == "__main__":
    sys.exit(install_all((otelcol(),)))
