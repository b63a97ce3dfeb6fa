"""The examples for CI systems follow the published schemas of their systems."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from interop.install_packagers import program, why_no_packagers
from interop.packages import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(bool(why_no_packagers()), reason=f"{why_no_packagers()}")

# Schema, file, and a change that its schema has to notice.
EXAMPLES = [
    *(
        ("vendor.github-workflows", path, "    runs-on: ubuntu-latest\n", "")
        for path in sorted((ROOT / "examples/github-actions").glob("*.yml"))
    ),
    ("vendor.gitlab-ci", ROOT / "examples/gitlab/.gitlab-ci.yml", "when: always", "when: sometimes"),
    ("vendor.buildkite", ROOT / "examples/buildkite/pipeline.yml", "steps:", "stages:"),
]


def check(schema: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Check a file by one of the schemas that check-jsonschema has."""
    return subprocess.run(
        (program("check-jsonschema"), "--builtin-schema", schema, path), capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("schema", "path", "right", "wrong"), EXAMPLES, ids=[path.name for _, path, *_ in EXAMPLES])
def test_the_schema(schema: str, path: Path, right: str, wrong: str, tmp_path: Path) -> None:
    """The file follows it, and would not with a mistake."""
    broken = tmp_path / path.name
    broken.write_text(path.read_text("utf-8").replace(right, wrong, 1), "utf-8")

    assert check(schema, path).returncode == 0, check(schema, path).stdout
    assert check(schema, broken).returncode == 1


def test_the_workflow_of_a_release(tmp_path: Path) -> None:
    """The one in docs/releasing.md follows the schema of workflows, and would not with a mistake."""
    (text,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/releasing.md").read_text("utf-8"), re.DOTALL)
    for name, content, code in (("right", text, 0), ("wrong", text.replace("needs: build", "need: build"), 1)):
        (tmp_path / f"{name}.yml").write_text(content, "utf-8")
        assert check("vendor.github-workflows", tmp_path / f"{name}.yml").returncode == code
