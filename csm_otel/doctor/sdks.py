"""Whether the AWS SDK of a program has CSM and can use it, by its files; it is never run."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from csm_otel.doctor.finding import Finding
from csm_otel.doctor.python_script import python_script_findings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PYTHON = re.compile(r"(?:python|pypy)[\d.]*")
_NODE = re.compile(r"node(?:js)?")
_BOTO_2 = re.compile(r"^[ \t]*(?:import|from)[ \t]+boto\b", re.MULTILINE)
_BOTO_3 = re.compile(r"\b(?:boto3|(?:aio)?botocore|aioboto3)\b")
_JAVA_V1 = re.compile(rb"\bcom/amazonaws/|\baws-java-sdk-core-1[\d.]*\.jar")
_JAVA_V2 = re.compile(rb"\bsoftware/amazon/awssdk/|\baws-core-2[\d.]*\.jar")
_DIRECTORY_BYTES = 8 * 1024**2
"""Of a jar: its names are at its end, uncompressed, some 100 bytes each."""
MOST_BYTES = 256 * 1024**2
"""Of a program: more than most have."""
_CHUNK_BYTES = 1024**2
_GO_V1, _GO_V2 = b"github.com/aws/aws-sdk-go/", b"github.com/aws/aws-sdk-go-v2/"
_RUST = b"aws-smithy-runtime"
_NO_CSM = "It does not implement CSM, so csm-otel sees none of its calls."


def sdk_findings(
    program: Path, argv: Sequence[str], environ: Mapping[str, str], *, most_bytes: int = MOST_BYTES
) -> list[Finding]:
    """Return the findings about the SDK that a program has; ``argv`` is its command line, which may name a script.

    Of a program that is no interpreter, ``most_bytes`` are read.
    """
    name = program.name
    with contextlib.suppress(OSError):  # nothing is known of what cannot be read
        if _PYTHON.fullmatch(name):
            return _python_findings(program, argv, environ)
        if _NODE.fullmatch(name):
            return _node_findings(argv)
        if name == "java":
            return _java_findings(argv)
        return _binary_findings(program, most_bytes)
    return []


def site_packages(python: Path, environ: Mapping[str, str]) -> list[Path]:
    """Return the folders of packages of an interpreter: its own or its virtual environment's, and the user's."""
    home, base = python.parent.parent, python.resolve().parent.parent
    try:
        settings = (home / "pyvenv.cfg").read_text("utf-8", "replace")
        roots = [home, base] if re.search(r"include-system-site-packages *= *true", settings) else [home]
    except OSError:
        user = environ.get("HOME", "")
        roots = [home, base, *([Path(user, ".local")] if user else [])]
    version = python.resolve().name.removeprefix("python")
    patterns = [f"lib*/python{version if '.' in version else '3*'}/site-packages", "local/lib/python3*/dist-packages"]
    patterns.append("lib/python3/dist-packages")  # Debian's
    return sorted({path for root in roots for pattern in patterns for path in root.glob(pattern)})


def text_of(script: Path) -> str:
    """Return the beginning of a script, "" if it cannot be read or is not a file."""
    try:
        if not script.is_file():
            return ""
        with script.open("rb") as file:
            return file.read(_CHUNK_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _python_findings(python: Path, argv: Sequence[str], environ: Mapping[str, str]) -> list[Finding]:
    script = next((Path(word) for word in argv[1:] if not word.startswith("-")), None)
    text = text_of(script) if script is not None else ""
    return [*python_script_findings(text), *_package_findings(python, script, text, environ)]


def _package_findings(python: Path, script: Path | None, text: str, environ: Mapping[str, str]) -> list[Finding]:
    if _BOTO_2.search(text):
        return [Finding("sdk-without-csm", "the script imports boto, version 2", _NO_CSM, "port it to boto3")]
    folders = [Path(folder) for folder in environ.get("PYTHONPATH", "").split(":") if folder]
    folders += [script.parent] if script is not None else []
    folders += site_packages(python, environ)
    found = [folder for folder in folders if _is_folder(folder / "botocore")]
    if not found and text and not _BOTO_3.search(text):
        return []  # it calls other programs, if anything
    if not found:
        return [
            Finding(
                "sdk-not-found",
                f"the packages of {python} do not include botocore",
                "A script that this interpreter runs cannot use boto3, unless it adds a folder itself. "
                "Other programs that it starts are traced nonetheless.",
                "check that this is the interpreter that runs the script: head -1 SCRIPT",
            )
        ]
    if (found[0] / "botocore/monitoring.py").is_file():
        return []
    names = [path.name for path in found[0].glob("botocore-*.dist-info")]
    version = names[0].removeprefix("botocore-").removesuffix(".dist-info") if names else "of an unknown version"
    fix = f"{python} -m pip install --upgrade botocore boto3"
    return [Finding("sdk-too-old", f"botocore {version} of {python} is too old for CSM", _NO_CSM, fix)]


def _node_findings(argv: Sequence[str]) -> list[Finding]:
    script = next((Path(word) for word in argv[1:] if word.endswith((".js", ".mjs", ".cjs", ".ts"))), Path("index.js"))
    folders = [folder / "node_modules" for folder in script.absolute().parents]
    if any(_is_folder(folder / "aws-sdk") for folder in folders):
        return []
    if any(_is_folder(folder) and next(folder.glob("@aws-sdk/client-*"), None) for folder in folders):
        return [_without_csm("AWS SDK for JavaScript v3", "@opentelemetry/instrumentation-aws-sdk")]
    return []


def _java_findings(argv: Sequence[str]) -> list[Finding]:
    jar = next((Path(word) for word in argv[1:] if word.endswith(".jar")), None)
    names = _end_of(jar, _DIRECTORY_BYTES) if jar is not None else b""
    if _JAVA_V2.search(names) and not _JAVA_V1.search(names):
        return [_without_csm("AWS SDK for Java v2", "the OpenTelemetry Java agent")]
    return []


def _binary_findings(program: Path, most_bytes: int) -> list[Finding]:
    found = _mentioned(program, (_GO_V1, _GO_V2, _RUST), most_bytes)
    if _GO_V1 in found:
        return []
    if _GO_V2 in found:
        return [_without_csm("AWS SDK for Go v2", "the package otelaws of opentelemetry-go-contrib")]
    if _RUST in found:
        return [_without_csm("AWS SDK for Rust", "its own observability, aws-smithy-observability-otel")]
    return []


def _without_csm(sdk: str, instead: str) -> Finding:
    return Finding("sdk-without-csm", f"the program uses the {sdk}", _NO_CSM, f"use {instead} in the program itself")


def _mentioned(program: Path, texts: Sequence[bytes], most_bytes: int) -> set[bytes]:
    """Return those of the texts that a file's first bytes contain."""
    found: set[bytes] = set()
    tail = b""
    with contextlib.suppress(OSError), program.open("rb") as file:
        for _ in range(most_bytes // _CHUNK_BYTES):
            if not (chunk := file.read(_CHUNK_BYTES)):
                break
            found |= {text for text in texts if text in tail + chunk}
            tail = chunk[-max(map(len, texts)) :]
    return found


def _end_of(path: Path, most_bytes: int) -> bytes:
    """Return the last bytes of a file, none if it is not one."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - most_bytes, 0))
        return file.read(most_bytes)


def _is_folder(path: Path) -> bool:
    """Return whether there is a folder that may be looked at; code given in place of a script makes no valid path."""
    try:
        return path.is_dir()
    except OSError:
        return False
