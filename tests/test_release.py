"""The rehearsal of a release: what it finds, and that it changes nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from csm_otel import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
DEADLINE_SECONDS = 60.0


def git(folder: Path, *words: str) -> str:
    """Run git in a folder, as somebody, and return what it prints."""
    someone = ("-c", "user.name=someone", "-c", "user.email=someone@example.com")
    command = ("git", *someone, *words)
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a clone, without tags, in which a release is prepared: the changelog has its date."""
    folder = tmp_path / "clone"
    folder.mkdir()
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, listed):
        if not name.startswith(("tests/", "benchmarks/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    changelog = folder / "CHANGELOG.md"
    heading = re.compile(r"^(## \[.*?\] - ).*$", re.MULTILINE)
    changelog.write_text(heading.sub(r"\g<1>2026-12-01", changelog.read_text(), count=1))
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Release it")
    return folder


def rehearsed(clone: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the rehearsal in a clone."""
    command = (sys.executable, str(clone / "scripts/release.py"), "check", *words)
    return subprocess.run(command, cwd=clone, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)


def test_what_would_be_released(clone: Path) -> None:
    """It names commit, packages with their digests, and the tag; it makes no tag, and leaves no file behind."""
    done = rehearsed(clone, __version__, "--tests-passed")

    commit = git(clone, "rev-parse", "HEAD").strip()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"csm-otel {__version__} can be released from {commit}:\n")
    names = re.findall(r"^(\S+)  [\d,]+ bytes  sha256 [0-9a-f]{64}$", done.stdout, re.MULTILINE)
    assert names == [f"csm_otel-{__version__}-py3-none-any.whl", f"csm_otel-{__version__}.tar.gz"]
    assert f" v{__version__} {commit}\n" in done.stdout
    assert not git(clone, "tag")
    left = git(clone, "status", "--porcelain", "--ignored").splitlines()
    assert [line for line in left if not line.endswith("__pycache__/")] == []  # Python's own, of what it imported


def test_in_the_workflow(clone: Path) -> None:
    """Where the commit has the tag of the version already, which starts the workflow, it can be released as well."""
    git(clone, "tag", f"v{__version__}")

    assert rehearsed(clone, __version__, "--tests-passed").returncode == 0


def _unfinished(clone: Path) -> None:
    text = (clone / "CHANGELOG.md").read_text().replace("2026-12-01", "Unreleased", 1)
    (clone / "CHANGELOG.md").write_text(text)
    git(clone, "commit", "--quiet", "--all", "--message", "Not yet")


@pytest.mark.parametrize(
    ("change", "words", "findings"),
    [
        pytest.param(lambda _: None, [__version__], ["nobody has said that the tests pass: "], id="untested"),
        pytest.param(
            lambda clone: (clone / "new").touch(),
            [__version__, "--tests-passed"],
            ["the working tree has changes that are not committed"],
            id="changes",
        ),
        pytest.param(
            _unfinished,
            [__version__, "--tests-passed"],
            [f"the section of {__version__} in CHANGELOG.md has no date: Unreleased"],
            id="no-date",
        ),
        pytest.param(
            lambda clone: git(clone, "tag", "v9.0"),
            [__version__, "--tests-passed"],
            ["there is a tag of this version or a later one: v9.0"],
            id="tagged",
        ),
        pytest.param(
            lambda _: None,
            ["9.9.9", "--tests-passed"],
            [
                "csm_otel/__init__.py has another version than 9.9.9",
                "the first section of CHANGELOG.md is not of 9.9.9",
                "the packages are of another version: csm_otel-",
            ],
            id="other-version",
        ),
    ],
)
def test_what_is_not_ready(
    clone: Path, change: Callable[[Path], object], words: list[str], findings: list[str]
) -> None:
    """Each fault is a line, and nothing is offered for release."""
    change(clone)
    done = rehearsed(clone, *words)

    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == len(findings)
    for line, finding in zip(done.stderr.splitlines(), findings, strict=True):
        assert line.startswith(f"not ready: {finding}")
