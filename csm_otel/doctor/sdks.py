"""Which AWS SDK a program has, read from the files beside it, without running it."""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from csm_otel.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

_PYTHON = re.compile(r"(?:python|pypy)[\d.]*")
_NODE = re.compile(r"node(?:js)?")
_READ_BYTES = 256 * 1024**2
_CHUNK_BYTES = 1024**2
_GO_V1, _GO_V2 = b"github.com/aws/aws-sdk-go/", b"github.com/aws/aws-sdk-go-v2/"
_RUST = b"aws-smithy-runtime"
_NO_CSM = "It does not implement CSM, so csm-otel sees none of its calls."


def sdk_findings(program: Path, argv: Sequence[str]) -> list[Finding]:
    """Return the findings about the SDK that a program has; ``argv`` is the command, which names a script."""
    name = program.name
    if _PYTHON.fullmatch(name):
        return _python_findings(program)
    if _NODE.fullmatch(name):
        return _node_findings(argv)
    return _binary_findings(program)


def site_packages(python: Path) -> list[Path]:
    """Return the folders of packages of an interpreter: of its virtual environment, or beside its program."""
    home = python.parent.parent
    roots = [home] if (home / "pyvenv.cfg").is_file() else [home, python.resolve().parent.parent]
    version = PurePath(python.resolve()).name.removeprefix("python")
    patterns = [f"lib*/python{version if '.' in version else '3*'}/site-packages", "local/lib/python3*/dist-packages"]
    patterns.append("lib/python3/dist-packages")  # Debian's
    return sorted({path for root in roots for pattern in patterns for path in root.glob(pattern)})


def _python_findings(python: Path) -> list[Finding]:
    found = [folder for folder in site_packages(python) if (folder / "botocore").is_dir()]
    if not found:
        return [
            Finding(
                "sdk-not-found",
                f"the packages of {python} do not include botocore",
                "A script that this interpreter runs cannot use boto3, unless PYTHONPATH or the script adds a folder. "
                "Other programs that it starts are traced nonetheless.",
                "check that this is the interpreter that runs the script: head -1 SCRIPT",
            )
        ]
    if any((folder / "botocore/monitoring.py").is_file() for folder in found):
        return []
    version = next((path.name.split("-")[1] for folder in found for path in folder.glob("botocore-*.dist-info")), "")
    what = f"botocore {version.removesuffix('.dist')} of {python} is too old for CSM".replace("  ", " ")
    return [Finding("sdk-too-old", what, _NO_CSM, f"{python} -m pip install --upgrade botocore boto3")]


def _node_findings(argv: Sequence[str]) -> list[Finding]:
    script = next((Path(word) for word in argv[1:] if word.endswith((".js", ".mjs", ".cjs", ".ts"))), Path("index.js"))
    folders = [folder / "node_modules" for folder in script.absolute().parents]
    if any((folder / "aws-sdk").is_dir() for folder in folders):
        return []
    if any(next((folder / "@aws-sdk").glob("client-*"), None) for folder in folders):
        return [_without_csm("AWS SDK for JavaScript v3", "@opentelemetry/instrumentation-aws-sdk")]
    return []


def _binary_findings(program: Path) -> list[Finding]:
    if _contains(program, _GO_V1):
        return []
    if _contains(program, _GO_V2):
        return [_without_csm("AWS SDK for Go v2", "the package otelaws of opentelemetry-go-contrib")]
    if _contains(program, _RUST):
        return [_without_csm("AWS SDK for Rust", "its own observability, aws-smithy-observability-otel")]
    return []


def _without_csm(sdk: str, instead: str) -> Finding:
    return Finding("sdk-without-csm", f"the program uses the {sdk}", _NO_CSM, f"use {instead} in the program itself")


def _contains(program: Path, text: bytes) -> bool:
    """Return whether a file's first 256 MiB contain a text."""
    tail = b""
    try:
        with program.open("rb") as file:
            for _ in range(_READ_BYTES // _CHUNK_BYTES):
                if not (chunk := file.read(_CHUNK_BYTES)):
                    return False
                if text in tail + chunk:
                    return True
                tail = chunk[-len(text) :]
    except OSError:
        return False
    return False
