"""The AWS SDK of a Python interpreter or script, by the folders of packages and the script's text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from csm_otel.doctor.sdk import UNKNOWN, not_found, too_old, with_csm, without_csm
from csm_otel.doctor.texts import is_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from csm_otel.doctor.sdk import Sdk

_BOTO_2 = re.compile(r"^[ \t]*(?:import|from)[ \t]+boto\b", re.MULTILINE)
_BOTO_3 = re.compile(r"\b(?:boto3|(?:aio)?botocore|aioboto3)\b")
_CLI = re.compile(r"\bawscli\b")
_SMITHY = re.compile(r"^[ \t]*(?:import|from)[ \t]+aws_sdk_\w+", re.MULTILINE)


def sdk_of_python(python: Path, script: Path | None, text: str, environ: Mapping[str, str]) -> Sdk:
    """Return the SDK of an interpreter, where ``text`` is that of the script or code that it runs."""
    if _BOTO_2.search(text):
        return without_csm("version 2 of boto", "boto3 instead")
    if _SMITHY.search(text) and not _BOTO_3.search(text):
        return without_csm("the AWS SDK for Python that is built on Smithy", "boto3 instead, or OpenTelemetry's API")
    folders = [Path(folder) for folder in environ.get("PYTHONPATH", "").split(":") if folder]
    folders += [script.parent] if script is not None else []
    folders += site_packages(python, environ)
    if _CLI.search(text) and any((folder / "awscli/botocore/monitoring.py").is_file() for folder in folders):
        return with_csm("the AWS CLI")  # which contains botocore
    found = [folder for folder in folders if is_folder(folder / "botocore")]
    if not found and text and not _BOTO_3.search(text):
        return UNKNOWN  # it calls other programs, if anything
    if not found:
        fix = "check that this is the interpreter that runs the script: head -1 SCRIPT"
        return not_found(f"the packages of {python} do not include botocore", fix)
    return _of_botocore(found[0], python)


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


def _of_botocore(folder: Path, python: Path) -> Sdk:
    names = [path.name for path in folder.glob("botocore-*.dist-info")]
    version = names[0].removeprefix("botocore-").removesuffix(".dist-info") if names else "of an unknown version"
    if (folder / "botocore/monitoring.py").is_file():
        return with_csm(f"botocore {version}")
    return too_old(f"botocore {version} of {python}", f"{python} -m pip install --upgrade botocore boto3")
