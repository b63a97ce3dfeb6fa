"""Build the packages, and check whether a commit can be released. Nothing is tagged or uploaded by it.

Usage: release.py build FOLDER                    the wheel and the sdist, with the time of the commit as theirs
       release.py check VERSION [--tests-passed]  a rehearsal; docs/releasing.md describes the release itself
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]


def main() -> int:
    """Do what the command line asks for, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build").add_argument("folder", type=Path)
    of_check = commands.add_parser("check")
    of_check.add_argument("version")
    of_check.add_argument("--tests-passed", action="store_true", help="`.ci/run` has passed on this commit")
    words = parser.parse_args()
    if words.command == "build":
        print(*build(words.folder), sep="\n")
        return 0
    return check(words.version, tests_passed=words.tests_passed)


def build(folder: Path) -> list[Path]:
    """Build both packages into a folder with the installed back end, and return them; end if that fails."""
    environ = {**os.environ, "SOURCE_DATE_EPOCH": git("log", "-1", "--format=%ct")}
    command = (sys.executable, "-m", "hatchling", "build", "--directory", str(folder.absolute()))
    done = subprocess.run(command, cwd=ROOT, env=environ, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}")
    return sorted([*folder.glob("*.whl"), *folder.glob("*.tar.gz")])


def check(version: str, *, tests_passed: bool) -> int:
    """Print what keeps the commit from being released, else what would be; return 1 or 0."""
    findings = [*faults_of(version)]
    if not tests_passed:
        findings.append("nobody has said that the tests pass: run .ci/run, then repeat this with --tests-passed")
    with TemporaryDirectory() as first, TemporaryDirectory() as second:
        packages = build(Path(first))
        again = build(Path(second))
        lines = [f"{path.name}  {path.stat().st_size:,} bytes  sha256 {_digest(path)}" for path in packages]
        if [path.name for path in packages] != [f"csm_otel-{version}-py3-none-any.whl", f"csm_otel-{version}.tar.gz"]:
            findings.append(f"the packages are of another version: {', '.join(path.name for path in packages)}")
        if [*map(_digest, packages)] != [*map(_digest, again)]:
            findings.append("a second build has other bytes")
    if findings:
        print(*(f"not ready: {finding}" for finding in findings), sep="\n", file=sys.stderr)
        return 1
    commit = git("rev-parse", "HEAD")
    print(f"csm-otel {version} can be released from {commit}:", *lines, "", sep="\n")
    print(f"  git tag --annotate --message 'csm-otel {version}' v{version} {commit}\n  git push origin v{version}\n")
    print(
        "Nothing has been tagged or uploaded. The workflow in docs/releasing.md does the rest, once the tag is pushed."
    )
    return 0


def faults_of(version: str) -> Iterator[str]:
    """Yield what is wrong with the version, the changelog, the tags and the working tree."""
    if git("status", "--porcelain"):
        yield "the working tree has changes that are not committed"
    source = (ROOT / "csm_otel/__init__.py").read_text(encoding="utf-8")
    if f'\n__version__ = "{version}"\n' not in source:
        yield f"csm_otel/__init__.py has another version than {version}"
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.search(r"^## \[(.+?)\] - (.+)$", changelog, re.MULTILINE)
    if not found or found[1] != version:
        yield f"the first section of CHANGELOG.md is not of {version}"
    elif not re.fullmatch(r"\d{4}-\d\d-\d\d", found[2]):
        yield f"the section of {version} in CHANGELOG.md has no date: {found[2]}"
    tags = git("tag", "--list", "v*").split()
    try:
        later = [tag for tag in tags if Version(tag) >= Version(version) and not _is_here(tag, version)]
    except InvalidVersion as error:
        yield str(error)
    else:
        if later:
            yield f"there is a tag of this version or a later one: {', '.join(later)}"


def _is_here(tag: str, version: str) -> bool:
    """Return whether a tag is that of the version, and of this commit: then the rehearsal is that of the workflow."""
    return tag == f"v{version}" and git("rev-parse", f"{tag}^{{commit}}") == git("rev-parse", "HEAD")


def git(*words: str) -> str:
    """Return what git prints.

    Raises:
        CalledProcessError: it fails.
    """
    return subprocess.run(("git", *words), cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
