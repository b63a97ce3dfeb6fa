"""Check the versions of csm-otel's own packages."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import TYPE_CHECKING

from csm_otel import __version__
from csm_otel.doctor.finding import Checked, Finding

if TYPE_CHECKING:
    from collections.abc import Callable

_RELEASED_TOGETHER = (
    "opentelemetry-api",
    "opentelemetry-sdk",
    "opentelemetry-proto",
    "opentelemetry-exporter-otlp",
    "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-exporter-otlp-proto-grpc",
)


def check_versions(version_of: Callable[[str], str] = importlib.metadata.version) -> Checked:
    """Return the findings about packages that are missing or do not belong together."""
    versions: dict[str, str] = {}
    missing = []
    for package in _RELEASED_TOGETHER:
        try:
            versions[package] = version_of(package)
        except importlib.metadata.PackageNotFoundError:
            missing.append(package)
    findings = []
    if missing or len(set(versions.values())) > 1:
        shown = ", ".join(
            [*(f"{name} {version}" for name, version in versions.items()), *(f"no {one}" for one in missing)]
        )
        findings.append(
            Finding(
                "packages-differ",
                f"packages of OpenTelemetry do not belong together: {shown}",
                "They are released together, and tested only so.",
                "install csm-otel into an environment of its own: README, Install",
            )
        )
    opentelemetry = versions.get("opentelemetry-sdk", "unknown")
    state = f"csm-otel {__version__}, Python {platform.python_version()}, OpenTelemetry {opentelemetry}"
    return Checked("versions", state, tuple(findings))
