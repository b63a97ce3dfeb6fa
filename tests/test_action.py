"""The action for GitHub: what its first step says of inputs that it cannot use, and how it treats all of them.

`tests/interop/test_action.py` runs whole jobs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[1]
DEADLINE_SECONDS = 60.0


def steps() -> list[dict[str, Any]]:
    """Return the steps of the action."""
    loaded: list[dict[str, Any]] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))["runs"]["steps"]
    return loaded


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        pytest.param({"MODE": "foreground"}, "mode is none of install, wrapper, background, stop", id="mode"),
        pytest.param({"PYTHON": "false"}, "needs Python 3.11 or newer: name one by the input python", id="old-python"),
        pytest.param({"PYTHON": "no-such"}, "needs Python 3.11 or newer: name one by the input python", id="no-python"),
    ],
)
def test_unusable_inputs(tmp_path: Path, inputs: dict[str, str], message: str) -> None:
    """Each is an annotation of the step, which fails; nothing is installed, and nothing is on the PATH."""
    environ = {
        "PATH": os.environ["PATH"],
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_PATH": str(tmp_path / "path"),
        "MODE": "install",
        "PYTHON": sys.executable,
        "PACKAGE": str(ROOT),
        "ACTION": str(ROOT),
        **inputs,
    }
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", steps()[0]["run"]],
        env=environ, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert message in done.stdout
    assert done.stdout.startswith("::error::csm-otel")
    assert len(done.stdout.splitlines()) == 1
    assert [*tmp_path.iterdir()] == []


def test_expressions_are_no_script() -> None:
    """Every input reaches a script as a variable: what is in a workflow's values cannot be run."""
    for step in steps():
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"
