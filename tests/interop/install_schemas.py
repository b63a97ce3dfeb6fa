"""Install what checks manifests: the library of `docker compose`, and the schemas of Kubernetes.

Run as ``python -m interop.install_schemas``.
"""

from __future__ import annotations

import re
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from interop.install_senders import install_all
from interop.installable import Installable, missing_programs, run, step

if TYPE_CHECKING:
    import subprocess

COMPOSE = Path(__file__).with_name("compose")
KUBERNETES_VALIDATE = "kubernetes-validate==1.37.0"  # has the schemas of Kubernetes 1.25 to 1.37
CHECK_SECONDS = 120.0


def compose_loader() -> Installable:
    """Return the program that loads Compose files, installed or not; go.sum pins each of its modules."""
    (version,) = re.findall(r"compose-go/v2 v(\S+)", (COMPOSE / "go.mod").read_text(encoding="utf-8"))
    return Installable(
        name="compose",
        version=version,
        sources=("main.go", "go.mod", "go.sum"),
        below=COMPOSE,
        shelf="schemas",
        installed_by="make interop",
        missing=partial(missing_programs, "go"),
        install=_install_loader,
    )


def kubernetes_validate() -> Installable:
    """Return the validator of Kubernetes' manifests, installed or not."""
    return Installable(
        name="kubernetes-validate",
        version=KUBERNETES_VALIDATE,
        sources=(),
        below=Path(__file__).parent,
        shelf="schemas",
        installed_by="make interop",
        install=_install_validator,
    )


def load_compose(file: Path) -> subprocess.CompletedProcess[str]:
    """Load a Compose file with all of its profiles; stdout is the project as JSON, stderr the first error."""
    command = (compose_loader().folder / "compose", file)
    return run(command, seconds=CHECK_SECONDS, environment={"COMPOSE_PROFILES": "*"})


def validate_manifest(file: Path, version: str) -> subprocess.CompletedProcess[str]:
    """Validate a manifest against the schema of a version of Kubernetes, in which no unknown field is allowed."""
    program = kubernetes_validate().folder / "venv" / "bin" / "kubernetes-validate"
    return run((program, "--strict", "--kubernetes-version", version, file), seconds=CHECK_SECONDS)


def _install_loader(folder: Path) -> None:
    flags = ("-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags=-s -w")
    step("go", "build", *flags, "-o", folder / "compose", ".", cwd=COMPOSE, GOWORK="off")


def _install_validator(folder: Path) -> None:
    step(sys.executable, "-m", "venv", folder / "venv")
    pip = (folder / "venv" / "bin" / "python", "-m", "pip", "--disable-pip-version-check")
    step(*pip, "install", "--quiet", KUBERNETES_VALIDATE, PIP_NO_CACHE_DIR="")


if __name__ == "__main__":
    sys.exit(install_all((compose_loader(), kubernetes_validate())))
