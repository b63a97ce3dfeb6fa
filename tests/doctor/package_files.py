"""Files of packages, made for a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from csm_otel.doctor.sdk import Sdk


def make(path: Path, content: bytes = b"") -> Path:
    """Make a file and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def codes_of(sdk: Sdk) -> list[str]:
    """Return the codes of an SDK's findings."""
    return [finding.code for finding in sdk.findings]
