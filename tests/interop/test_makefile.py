"""examples/makefile by a real make."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.programs import SENDER, environment
from interop.debian import why_not
from otlp_backend import DEADLINE_SECONDS, HttpBackend

EXAMPLE = Path(__file__).parents[2] / "examples/makefile/Makefile"
pytestmark = pytest.mark.skipif(bool(why_not("make")), reason=str(why_not("make")))


def make(folder: Path, *words: str, fails: bool = False, endpoint: str = "") -> subprocess.CompletedProcess[bytes]:
    """Run a command in a folder with the example and its two scripts, of which one may fail."""
    shutil.copy(EXAMPLE, folder)
    for name in ("migrate.sh", "deploy.sh"):
        code = 7 if fails and name == "migrate.sh" else 0
        (folder / name).write_text(f"#!/bin/sh\necho {name}\nexec {sys.executable} {SENDER} exit {code}\n")
        (folder / name).chmod(0o755)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    inherited = {name: value for name, value in environment().items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        words,
        cwd=folder,
        env={**inherited, "PATH": path, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint},
        capture_output=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )


def test_a_target(tmp_path: Path) -> None:
    """Its command is traced under the target's name, and prints what it always did."""
    done = make(tmp_path, "make", "--silent", "deploy")
    assert (done.returncode, done.stdout) == (0, b"deploy.sh\n")
    assert b"1 call with 1 attempt" in done.stderr
    assert b"deploy" in done.stderr


def test_without(tmp_path: Path) -> None:
    """With CSM= there is no csm-otel."""
    done = make(tmp_path, "make", "--silent", "deploy", "CSM=")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"deploy.sh\n", b"")


@pytest.mark.parametrize(
    ("flags", "printed"),
    [
        pytest.param([], b"migrate.sh\n", id="stops"),
        pytest.param(["-k"], b"migrate.sh\ndeploy.sh\n", id="keeps-going"),
    ],
)
def test_a_target_that_fails(tmp_path: Path, flags: list[str], printed: bytes) -> None:
    """Make sees the command's own exit code, and goes on or not as before."""
    done = make(tmp_path, "make", "--silent", *flags, fails=True)
    assert (done.returncode, done.stdout) == (2, printed)
    assert b"migrate] Error 7" in done.stderr


def test_one_trace(tmp_path: Path) -> None:
    """Under an outer `exec` all targets, in parallel, are one trace, each command with a span below that of make."""
    with HttpBackend() as backend:
        words = ["csm-otel", "exec", "--name", "make", "--", "make", "-j2"]
        done = make(tmp_path, *words, endpoint=backend.endpoint)
        spans = backend.spans
    assert done.returncode == 0
    assert len({span.trace_id for span in spans}) == 1
    (root,) = [span for span in spans if not span.parent_span_id]
    commands = {span.name: span for span in spans if span.parent_span_id == root.span_id}
    assert (root.name, sorted(commands)) == ("make", ["deploy.sh", "migrate.sh"])
    for command in commands.values():
        assert [span.name for span in spans if span.parent_span_id == command.span_id] == ["S3.ListBuckets"]
