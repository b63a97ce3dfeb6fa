"""The component for GitLab: it follows the published schema, and a job that extends it traces its command."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml  # type: ignore[import-untyped]
from ci import environments
from e2e.programs import environment, spans_in
from interop.install_packagers import program, why_no_packagers
from interop.packages import DEADLINE_SECONDS, ROOT

from csm_otel.ci.joining import join
from csm_otel.ci.system import CallingJob

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE = ROOT / "templates/csm-otel/template.yml"
_INPUT = re.compile(r"\$\[\[ inputs\.(\w+) \]\]")

pytestmark = pytest.mark.skipif(bool(why_no_packagers()), reason=f"{why_no_packagers()}")


def header() -> dict[str, Any]:
    """Return the inputs that the component declares."""
    inputs: dict[str, Any] = yaml.safe_load(TEMPLATE.read_text("utf-8").partition("\n---\n")[0])["spec"]["inputs"]
    return inputs


def jobs(**inputs: str) -> dict[str, Any]:
    """Return what the component adds to a pipeline that includes it with these inputs."""
    values = {name: declared["default"] for name, declared in header().items() if "default" in declared} | inputs
    text = _INPUT.sub(lambda found: values[found[1]], TEMPLATE.read_text("utf-8").partition("\n---\n")[2])
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def check(path: Path) -> subprocess.CompletedProcess[str]:
    """Check a pipeline by the schema."""
    command = (program("check-jsonschema"), "--builtin-schema", "vendor.gitlab-ci", path)
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_schema(tmp_path: Path) -> None:
    """The pipeline with a job that extends it follows the schema, as does the header; and would not with mistakes."""
    pipeline = jobs(package="csm-otel") | {"deploy": {"extends": ".csm-otel", "script": ["csm-otel exec -- true"]}}
    cases = {
        "pipeline": (pipeline, 0),
        "header": ({"spec": {"inputs": header()}}, 0),
        "broken": ({**pipeline, "deploy": {"extends": ".csm-otel", "before_script": 1}}, 1),
        "broken-header": ({"spec": {"inputs": {"join": {"type": "word"}}}}, 1),
    }
    for name, (content, code) in cases.items():
        (tmp_path / f"{name}.yml").write_text(yaml.safe_dump(content), "utf-8")
        done = check(tmp_path / f"{name}.yml")
        assert done.returncode == code, (name, done.stdout)


def test_inputs_are_no_script() -> None:
    """Whatever is in an input stays in a variable; the script has none of it."""
    texts = {name: f"; exit 1 # {name}" for name in header()}
    ((name, job),) = jobs(**texts).items()

    assert name == texts["job"]
    assert {*texts.values()} - {name} == {*job["variables"].values()}
    assert [text for text in texts.values() if any(text in line for line in job["before_script"])] == []


def test_a_job(packages: tuple[Path, Path], tmp_path: Path) -> None:
    """Its script finds csm-otel on the PATH, and the python that it had; the call is in the trace of the pipeline."""
    (job,) = jobs(package=str(packages[0]), python=sys.executable, join="gitlab").values()
    one_call = f"'{sys.executable}' '{ROOT}/soak/one_call.py' exit 3"
    script = ["command -v python3 >python", f"csm-otel exec --file spans.jsonl -- {one_call}", "echo not reached"]
    done = subprocess.run(
        ["sh", "-e", "-c", "\n".join([*job["before_script"], *script])],
        cwd=tmp_path, env=environment(**environments.GITLAB, **job["variables"], TMPDIR=str(tmp_path)),
        capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert (tmp_path / "python").read_text().strip() == shutil.which("python3")
    trace_id = join("gitlab", CallingJob(), environments.GITLAB).trace_id
    spans = spans_in(tmp_path / "spans.jsonl")
    assert {span["traceId"] for span in spans} == {f"{trace_id:032x}"}
    assert len(spans) == 3
