"""The examples for compose and Kubernetes are valid by their published schemas, and a broken one is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml  # type: ignore[import-untyped]
from interop.install_image import ROOT
from interop.install_schemas import compose_loader, kubernetes_validate, load_compose, validate_manifest

if TYPE_CHECKING:
    from pathlib import Path

COMPOSE = ROOT / "examples" / "compose" / "compose.yaml"
KUBERNETES = sorted((ROOT / "examples" / "kubernetes").glob("*.yaml"))
SIDECAR = ROOT / "examples" / "kubernetes" / "sidecar.yaml"
FIRST, NEWEST = "1.29", "1.37"  # the first in which native sidecars need no feature gate


pytestmark = pytest.mark.usefixtures("validators")


@pytest.fixture(scope="module")
def validators() -> None:
    """Skip without them."""
    if reason := compose_loader().why_not() or kubernetes_validate().why_not():
        pytest.skip(reason)


def test_compose_loads_the_example() -> None:
    """Its services are known to each other, and the files that it mounts or builds from exist."""
    done = load_compose(COMPOSE)
    assert done.returncode == 0, done.stderr
    project = json.loads(done.stdout)
    assert {"csm-otel", "collector", "jaeger", "script"} == project["services"].keys()
    for service in project["services"].values():
        sources = [volume["source"] for volume in service.get("volumes", []) if volume["type"] == "bind"]
        contexts = [f"{service['build']['context']}/{service['build']['dockerfile']}"] if "build" in service else []
        assert [path for path in (*sources, *contexts) if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        pytest.param("read_only:", "readonly:", "readonly", id="unknown key"),
        pytest.param("cap_drop: [ALL]", "cap_drop: ALL", "cap_drop", id="wrong type"),
        pytest.param("depends_on: [jaeger]", "depends_on: [jager]", "jager", id="unknown service"),
        pytest.param("[spool:/var", "[pool:/var", "pool", id="unknown volume"),
        pytest.param(":-us-east-1}", ":-us-east-1", "AWS_DEFAULT_REGION", id="interpolation"),
    ],
)
def test_a_broken_compose_file_is_refused(right: str, wrong: str, complaint: str, tmp_path: Path) -> None:
    """The check can fail."""
    done = load_compose(changed(COMPOSE, right, wrong, tmp_path))
    assert done.returncode == 1
    assert complaint in done.stderr


@pytest.mark.parametrize("version", [FIRST, NEWEST])
@pytest.mark.parametrize("manifest", KUBERNETES, ids=lambda path: path.name)
def test_kubernetes_takes_the_manifests(manifest: Path, version: str) -> None:
    """Each field is in the schema, with a value of its type."""
    done = validate_manifest(manifest, version)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f" passed for resource {kind_of(manifest)}/" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        pytest.param("periodSeconds: 30", "intervalSeconds: 30", "intervalSeconds", id="unknown field"),
        pytest.param("backoffLimit: 0", 'backoffLimit: "0"', "backoffLimit", id="wrong type"),
        pytest.param('  schedule: "0 3 * * *"\n', "", "schedule", id="missing field"),
    ],
)
def test_a_broken_manifest_is_refused(right: str, wrong: str, complaint: str, tmp_path: Path) -> None:
    """The check can fail."""
    done = validate_manifest(changed(SIDECAR, right, wrong, tmp_path), NEWEST)
    assert done.returncode != 0
    assert complaint in done.stdout + done.stderr


def changed(file: Path, right: str, wrong: str, folder: Path) -> Path:
    """Return a copy of a file in which a text is replaced, once."""
    text = file.read_text(encoding="utf-8")
    assert text.count(right) == 1
    path = folder / file.name
    path.write_text(text.replace(right, wrong), encoding="utf-8")
    return path


def kind_of(manifest: Path) -> str:
    """Return a manifest's kind as the validator writes it."""
    kind: str = yaml.safe_load(manifest.read_text(encoding="utf-8"))["kind"]
    return kind.lower()
