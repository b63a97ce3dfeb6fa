"""Build act, which runs workflows of GitHub Actions on this machine, into the cache folder, from its Go module.

Run as ``python -m interop.install_act``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from interop.install_senders import install_all
from interop.installable import Installable, missing_programs, step

VERSION = "v0.2.89"
WORKFLOW_SECONDS = 600.0  # most of it is the installation


def act() -> Installable:
    """Return act, installed or not."""
    return Installable(
        name="act",
        version=VERSION,
        sources=(),
        below=Path(__file__).parent,
        shelf="act",
        installed_by="make interop",
        missing=lambda: missing_programs("go", "git"),
        install=lambda folder: step(
            "go", "install", f"github.com/nektos/act@{VERSION}", GOBIN=str(folder), GOWORK="off"
        ),
    )


def run_workflow(folder: Path, checkout: Path, workflow: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a workflow in a clone of a checkout, on this machine without containers; its output is that of act."""
    repository = folder / "repository"
    clone = ("git", "clone", "--quiet", "--depth", "1", checkout.as_uri(), str(repository))
    subprocess.run(clone, check=True, capture_output=True)
    (repository / ".github/workflows").mkdir(parents=True, exist_ok=True)
    (repository / ".github/workflows/test.yml").write_text(workflow, encoding="utf-8")
    (folder / ".config/act").mkdir(parents=True)
    (folder / ".config/act/actrc").touch()  # else it asks
    flags = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
    return subprocess.run(
        [act().folder / "act", "push", "--platform", "ubuntu-latest=-self-hosted", *flags],
        cwd=repository, env={**os.environ, "HOME": str(folder)}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=WORKFLOW_SECONDS, check=False,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(install_all((act(),)))
