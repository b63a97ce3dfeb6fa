"""Versions of packages in, codes of findings out."""

from __future__ import annotations

import importlib.metadata

from csm_otel.doctor.versions import check_versions


def test_this_installation() -> None:
    """What is installed here belongs together."""
    assert check_versions().findings == ()


def test_a_package_of_another_release() -> None:
    """Packages that are released together have one version."""
    (finding,) = check_versions(lambda name: "1.44.0" if name.endswith("-sdk") else "1.45.0").findings

    assert finding.code == "packages-differ"
    assert "opentelemetry-sdk 1.44.0" in finding.what


def test_a_missing_package() -> None:
    """A package that is not installed is named."""

    def version_of(name: str) -> str:
        if name.endswith("-grpc"):
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.45.0"

    (finding,) = check_versions(version_of).findings

    assert "no opentelemetry-exporter-otlp-proto-grpc" in finding.what
