"""The image of the checkout's Dockerfile, built for the tests of this folder."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from interop.installable import run

if TYPE_CHECKING:
    from interop.containers import Containers

IMAGE = "localhost/csm-otel:tested"
CREATED, REVISION = "2026-01-02T03:04:05Z", "0123456789abcdef0123456789abcdef01234567"
CANARY = b"canary-of-the-build-1c7e5a90"
"""Is in each secret of the build."""
_TO_REACH_PACKAGES = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout")


def build(containers: Containers, folder: Path) -> None:
    """Build the image with what this machine's pip needs to reach packages, which is written to an empty folder."""
    labels = (f"--build-arg=CREATED={CREATED}", f"--build-arg=REVISION={REVISION}")
    containers.build(IMAGE, *labels, *_secrets(folder))


def _secrets(folder: Path) -> list[str]:
    listed = run((sys.executable, "-m", "pip", "config", "list"), seconds=60).stdout
    found = re.findall(r"^(?:global|install|:env:)\.([a-z-]+)=(.*)$", listed, re.MULTILINE)
    settings = {name: " ".join(ast.literal_eval(text).split()) for name, text in found}
    lines = [f"# {CANARY.decode()}", "[global]"]
    lines += [f"{name} = {settings[name]}" for name in _TO_REACH_PACKAGES if name in settings]
    flags = [f"--secret=id=pip,src={folder}/pip.conf"]
    if "cert" in settings:
        (folder / "ca").write_bytes(Path(settings["cert"]).read_bytes() + b"\n# " + CANARY + b"\n")
        lines.append("cert = /run/secrets/ca")
        flags.append(f"--secret=id=ca,src={folder}/ca")
    (folder / "pip.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return flags
