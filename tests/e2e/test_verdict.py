"""`--fail-on` as a whole; its exit codes are in `test_exit_codes`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from e2e.programs import ONE_CALL_SENT, SENDER, environment, run

if TYPE_CHECKING:
    from pathlib import Path


def test_a_bad_variable() -> None:
    """In a variable a rule that cannot be read is reported, and the command's result stands."""
    done = run("exec", "--", *ONE_CALL_SENT, env=environment(CSM_OTEL_FAIL_ON="nonsense"))

    assert done.returncode == 0
    assert b"CSM_OTEL_FAIL_ON: unknown: 'nonsense'; known are" in done.stderr


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


def test_a_run_that_was_interrupted(tmp_path: Path) -> None:
    """It does not replace the baseline, whose calls it may not have reached."""
    baseline = tmp_path / "aws-calls.toml"
    baseline.write_text('schema = 1\ncalls = [["S3", "PutObject", "us-east-1", ""]]\n', "utf-8")
    before = baseline.read_bytes()
    recording = tmp_path / "run.ndjson"
    flags = ("--baseline", baseline, "--update-baseline")
    command = (sys.executable, SENDER, "signal", "2")
    done = run("exec", "--record", recording, *flags, "--", *command, env=environment())
    reported = run("report", *flags, recording, env=environment())

    assert (done.returncode, reported.returncode) == (130, 99)
    assert all(b"not updated, as the command failed" in one.stderr for one in (done, reported))
    assert baseline.read_bytes() == before
