"""The wheel and the sdist: the same bytes again, the right files; installed by pip, pipx and uv it traces a call."""

from __future__ import annotations

import email
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from e2e.programs import DEADLINE_SECONDS, ONE_CALL, environment
from interop.install_packagers import program, why_no_packagers, why_no_shells
from interop.packages import INSTALLERS, ROOT, make_dist, run

from csm_otel import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

IN_PACKAGE = ("csm_otel/py.typed", "csm_otel/report/page.html", "csm_otel/report/page.css", "csm_otel/__main__.py")


def last_commit() -> str:
    """Return the time of the last commit, in seconds."""
    return run("git", "log", "-1", "--format=%ct", cwd=ROOT).strip()


def test_the_same_bytes_again(packages: tuple[Path, Path], tmp_path: Path) -> None:
    """Another build of the same commit gives the same bytes."""
    again = make_dist(tmp_path / "dist")

    assert [path.name for path in again] == [path.name for path in packages]
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in packages]


def test_the_sdist_builds_the_same_wheel(packages: tuple[Path, Path], tmp_path: Path) -> None:
    """Built from the sdist alone, with nothing but the locked build back end, the wheel has the same bytes."""
    wheel, sdist = packages
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "--no-index")
    run(*pip, "--no-build-isolation", "--wheel-dir", tmp_path, sdist, cwd=tmp_path, SOURCE_DATE_EPOCH=last_commit())

    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_the_files_of_the_wheel(packages: tuple[Path, Path]) -> None:
    """Each tracked file of the package, the program, the licence, and what is below share; nothing else."""
    tracked = set(run("git", "ls-files", "csm_otel", cwd=ROOT).splitlines())
    with zipfile.ZipFile(packages[0]) as wheel:
        names = set(wheel.namelist())
    folder = f"csm_otel-{__version__}"

    assert {name for name in names if name.startswith("csm_otel/")} == tracked
    assert tracked.issuperset(IN_PACKAGE)
    assert {name for name in names if not name.startswith((f"{folder}.data/data/share/", "csm_otel/"))} == {
        f"{folder}.data/scripts/csm-otel",
        *(f"{folder}.dist-info/{name}" for name in ("METADATA", "WHEEL", "RECORD", "licenses/LICENSE")),
    }


def test_the_files_of_the_sdist(packages: tuple[Path, Path]) -> None:
    """Each tracked file, and the metadata; nothing that is not in the repository."""
    tracked = set(run("git", "ls-files", cwd=ROOT).splitlines())
    with tarfile.open(packages[1]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}

    assert names - {"PKG-INFO"} == tracked


def test_the_metadata(packages: tuple[Path, Path]) -> None:
    """Name, version, licence, Python, description; no address, as the project has none yet."""
    with zipfile.ZipFile(packages[0]) as wheel:
        metadata = email.message_from_bytes(wheel.read(f"csm_otel-{__version__}.dist-info/METADATA"))

    assert (metadata["Name"], metadata["Version"], metadata["Requires-Python"]) == ("csm-otel", __version__, ">=3.11")
    assert (metadata["License-Expression"], metadata["License-File"]) == ("Apache-2.0", "LICENSE")
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    assert str(metadata.get_payload()).startswith("# csm-otel\n")
    assert metadata.get_all("Project-URL") is None


@pytest.mark.parametrize(
    "checker",
    [
        pytest.param(("twine", "check", "--strict"), id="twine"),
        pytest.param(("check-wheel-contents",), id="check-wheel-contents"),
    ],
)
def test_checkers_find_nothing(packages: tuple[Path, Path], tmp_path: Path, checker: tuple[str, ...]) -> None:
    """The checkers of package indexes and of wheels have nothing to say."""
    wheel, sdist = packages
    run(program(checker[0]), *checker[1:], wheel, *([sdist] if checker[0] == "twine" else []), cwd=tmp_path)


@pytest.mark.parametrize("installer", INSTALLERS)
def test_installed(installed: Callable[[str], Path], tmp_path: Path, moto_port: int, installer: str) -> None:
    """In a clean environment outside the checkout the program says its version, examines itself and traces boto3."""
    csm_otel = installed(installer)
    env = {name: value for name, value in environment(moto_port).items() if not name.startswith("PYTHON")}

    def ran(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [csm_otel, *words], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=DEADLINE_SECONDS,
            check=False,
        )  # fmt: skip

    assert ran("--version").stdout == f"csm-otel {__version__}\n"
    assert json.loads(ran("doctor", "--json").stdout)["schema"] == 1
    done = ran("exec", "--report", "page.html", "--", sys.executable, "-c", ONE_CALL)
    assert (done.returncode, done.stdout) == (0, "")
    assert "1 call with 1 attempt\n" in done.stderr
    assert "ListBuckets" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert csm_otel.read_text().partition("\n")[2] == (ROOT / "scripts/launcher.py").read_text().partition("\n")[2]


@pytest.mark.skipif(bool(why_no_packagers()), reason=f"{why_no_packagers()}")
@pytest.mark.parametrize("installer", ["pipx", "uv"])
def test_installed_by_one_command(tmp_path: Path, installer: str) -> None:
    """In a clone the one command of the README is enough; the build's requirements are found by it."""
    run("git", "clone", "--quiet", "--depth", "1", ROOT.as_uri(), tmp_path / "clone", cwd=tmp_path)
    csm_otel = INSTALLERS[installer](tmp_path / "clone", tmp_path)

    assert run(csm_otel, "--version", cwd=tmp_path) == f"csm-otel {__version__}\n"


@pytest.mark.skipif(bool(why_no_shells()), reason=f"needs {why_no_shells()}")
def test_the_manual_page(installed: Callable[[str], Path], tmp_path: Path) -> None:
    """Man finds the page of a program on the PATH, and neither of two formatters has a warning."""
    csm_otel = installed("pip")
    path = {"PATH": f"{csm_otel.parent}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    (page,) = run("man", "--where", "csm-otel", cwd=tmp_path, **path).split()

    assert Path(page) == csm_otel.parents[1] / "share/man/man1/csm-otel.1"
    done = subprocess.run(["man", "--warnings", "-l", page], check=True, capture_output=True, text=True)
    assert not done.stderr
    assert "csm-otel exec [options] -- COMMAND [ARG...]" in done.stdout
    assert not run("mandoc", "-T", "lint", "-W", "warning", page, cwd=tmp_path)
