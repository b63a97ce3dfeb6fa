"""`--fail-on` as a whole: exit codes and lines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from e2e.programs import ONE_CALL_SENT, SENDER, environment, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("rules", "how", "code"),
    [
        pytest.param("calls>0", ("exit", "0"), 99, id="broken"),
        pytest.param("calls>0", ("exit", "3"), 3, id="broken-and-failed"),
        pytest.param("calls>0", ("signal", "15"), 143, id="broken-and-killed"),
        pytest.param("calls>1", ("exit", "0"), 0, id="kept"),
        pytest.param("calls>1", ("exit", "3"), 3, id="kept-and-failed"),
        pytest.param("calls>>1", ("exit", "0"), 2, id="no-rule"),
    ],
)
def test_exit_codes(rules: str, how: tuple[str, str], code: int) -> None:
    """A broken rule is 99 where the command ended well; else the code is the command's; a bad rule starts nothing."""
    done = run("exec", "--fail-on", rules, "--", sys.executable, SENDER, *how, env=environment())

    assert done.returncode == code
    assert (b"--fail-on: calls>0: calls is 1" in done.stderr) == (rules == "calls>0")


def test_a_bad_variable() -> None:
    """In a variable a rule that cannot be read is reported, and the command's result stands."""
    done = run("exec", "--", *ONE_CALL_SENT, env=environment(CSM_OTEL_FAIL_ON="nonsense"))

    assert done.returncode == 0
    assert b"CSM_OTEL_FAIL_ON: unknown: 'nonsense'; known are" in done.stderr


def test_a_run_without_calls() -> None:
    """A rule may ask for calls."""
    assert run("exec", "--fail-on", "calls=0", "--", "true", env=environment()).returncode == 99


def test_report(tmp_path: Path) -> None:
    """What was recorded is judged likewise; an input that cannot be read comes first."""
    recording = tmp_path / "run.ndjson"
    run("exec", "--quiet", "--record", recording, "--", *ONE_CALL_SENT, env=environment())
    codes = [
        run("report", "--fail-on", rules, *paths, env=environment()).returncode
        for rules, paths in (
            ("access=read", [recording]),
            ("access=write", [recording]),
            ("access=read", [recording, tmp_path / "missing"]),
        )
    ]

    assert codes == [99, 0, 1]


def test_output(tmp_path: Path) -> None:
    """The line is where the report is."""
    output = tmp_path / "report.txt"
    done = run("exec", "--output", output, "--fail-on", "calls>0", "--", *ONE_CALL_SENT, env=environment())

    assert (done.returncode, done.stderr) == (99, b"")
    assert "--fail-on: calls>0: calls is 1" in output.read_text("utf-8")
