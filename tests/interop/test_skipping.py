"""The interoperability tests on a machine that cannot build Jaeger, or lacks the toolchain of an SDK."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def run_without_go(tmp_path: Path, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with an empty cache and nothing on its PATH."""
    inherited = {name: value for name, value in os.environ.items() if name not in {"CI", "JAEGER_BIN"}}
    return subprocess.run(
        (sys.executable, *command),
        cwd=HERE.parent.parent,
        env={**inherited, "PATH": str(tmp_path), "CSM_OTEL_CACHE": str(tmp_path), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def run_jaeger_tests(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a test that needs Jaeger, over both protocols."""
    options = ("-p", "no:cacheprovider", "-k", "stock_exporter")
    return run_without_go(tmp_path, "-m", "pytest", *options, HERE / "test_jaeger.py", **environment)


def test_the_installer_names_the_missing_toolchain(tmp_path: Path) -> None:
    """Without Go the installer prints that it skips, and why, and succeeds."""
    done = run_without_go(tmp_path, HERE / "install_jaeger.py")
    assert done.stderr == "jaeger: skipped, it needs the Go toolchain (go >= 1.24.6 on the PATH)\n"
    assert (done.returncode, done.stdout) == (0, "")


def test_the_tests_name_the_missing_toolchain(tmp_path: Path) -> None:
    """Without Go and without CI=true tests that need Jaeger are skipped with the reason."""
    done = run_jaeger_tests(tmp_path)
    assert "Jaeger needs the Go toolchain (go >= 1.24.6 on the PATH)" in done.stdout
    assert "3 skipped" in done.stdout
    assert done.returncode == pytest.ExitCode.OK


def test_a_skip_fails_in_ci(tmp_path: Path) -> None:
    """With CI=true the same skip is a failure, with the reason."""
    done = run_jaeger_tests(tmp_path, CI="true")
    assert "Jaeger needs the Go toolchain (go >= 1.24.6 on the PATH)" in done.stdout
    assert "3 errors" in done.stdout
    assert done.returncode == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(
    ("environment", "outcome"),
    [pytest.param({}, "1 skipped", id="skipped"), pytest.param({"CI": "true"}, "1 failed", id="ci")],
)
def test_a_sender_that_is_not_installed(tmp_path: Path, environment: dict[str, str], outcome: str) -> None:
    """A sender whose toolchain is missing is skipped with the reason, and fails with it in CI."""
    options = ("-p", "no:cacheprovider", "-k", "javascript-v2-success")
    done = run_without_go(tmp_path, "-m", "pytest", *options, HERE / "test_senders.py", **environment)
    assert "javascript-v2 needs node and npm on the PATH" in done.stdout
    assert outcome in done.stdout.splitlines()[-1]


def test_a_wrong_jaeger_bin_is_no_skip(tmp_path: Path) -> None:
    """A JAEGER_BIN that cannot be run is an error, even where skipping is allowed."""
    done = run_without_go(tmp_path, HERE / "install_jaeger.py", JAEGER_BIN=str(tmp_path / "absent"))
    assert done.stderr == f"jaeger: JAEGER_BIN={tmp_path / 'absent'} is no executable file\n"
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("version", "toolchain", "expected"),
    [
        pytest.param("go1.19.8", "", "jaeger: skipped, it needs a newer Go toolchain", id="cannot-switch"),
        pytest.param("go1.22.2", "local", "jaeger: skipped, it needs a newer Go toolchain", id="may-not-switch"),
        pytest.param("go1.22.2", "auto", "jaeger: go mod failed with exit code 3", id="switches"),
        pytest.param("go1.26.0", "local", "jaeger: go mod failed with exit code 3", id="new-enough"),
    ],
)
def test_an_old_toolchain_counts_only_where_it_can_switch(
    tmp_path: Path, version: str, toolchain: str, expected: str
) -> None:
    """An old Go is used if it can fetch a newer one, else it is named as missing."""
    answers = f"[ $1 = env ] || exit 3\necho {version}\necho {toolchain}\n"
    place_go(tmp_path, answers)
    assert expected in run_without_go(tmp_path, HERE / "install_jaeger.py").stderr


def test_a_source_with_another_sum_is_rejected(tmp_path: Path) -> None:
    """A module with another sum is not built, and nothing stays in the cache."""
    place_go(tmp_path, """[ $1 = env ] && echo go1.26.0 local || echo '{"Sum": "h1:other", "Zip": "absent"}'\n""")
    done = run_without_go(tmp_path, HERE / "install_jaeger.py")
    assert "has the sum h1:other, not the pinned h1:" in done.stderr
    assert done.returncode == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "go"]


def place_go(folder: Path, script: str) -> None:
    """Create a go that answers as a shell script does; real ones of each age are not available."""
    program = folder / "go"
    program.write_text(f"#!/bin/sh\n{script}", encoding="utf-8")
    program.chmod(0o755)
