"""The truth table of `exec`'s exit code: how the command ends, by what is wrong beside it.

A command that ends with another code than 0 keeps it, whatever the verdict and whatever does not work; one that ends
with 0 gets 99 for a broken rule, and for a baseline that cannot be compared, and for nothing else.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from e2e.programs import SENDER, environment, has_traceback, run

if TYPE_CHECKING:
    from pathlib import Path

ENDINGS = [
    pytest.param((sys.executable, str(SENDER), "exit", "0"), 0, id="success"),
    pytest.param((sys.executable, str(SENDER), "exit", "41"), 41, id="failure"),
    pytest.param((sys.executable, str(SENDER), "exit", "99"), 99, id="same-code-as-a-broken-rule"),
    pytest.param((sys.executable, str(SENDER), "signal", "9"), 137, id="signal"),
]
UNREACHABLE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
# Flags, variables, the code for a command that ends with 0, and what stderr says.
TROUBLES = [
    pytest.param([], {}, 0, "1 call", id="none"),
    pytest.param(["--fail-on", "calls>1"], {}, 0, "1 call", id="rule-kept"),
    pytest.param(["--fail-on", "calls>0"], {}, 99, "--fail-on: calls>0: calls is 1", id="rule-broken"),
    pytest.param(["--fail-on", "calls>0,max>=0s"], {}, 99, "--fail-on: max>=0s: max is", id="two-rules-broken"),
    pytest.param(["--fail-on", "calls>0"], UNREACHABLE, 99, "connection refused", id="rule-broken-and-no-back-end"),
    pytest.param(["--fail-on", "calls>0", "--quiet"], {}, 99, "", id="rule-broken-quietly"),
    pytest.param([], {"CSM_OTEL_FAIL_ON": "calls>>0"}, 0, "CSM_OTEL_FAIL_ON: ", id="rule-unreadable"),
    pytest.param(["--baseline", "missing.toml"], {}, 99, "--baseline: missing.toml: ", id="baseline-missing"),
    pytest.param(["--baseline", "."], {}, 99, "--baseline: .: ", id="baseline-a-folder"),
    pytest.param(["--baseline", "bad.toml"], {}, 99, "--baseline: bad.toml: ", id="baseline-damaged"),
    pytest.param(["--baseline", "empty.toml"], {}, 0, "--baseline: new: ", id="baseline-differs"),
    pytest.param(
        ["--baseline", "empty.toml", "--fail-on", "new>0"], {}, 99, "--fail-on: new>0: ", id="baseline-differs-too-much"
    ),
    pytest.param(
        ["--baseline", "none/new.toml", "--update-baseline"], {}, 99, "none/new.toml: ", id="baseline-unwritable"
    ),
    pytest.param(
        ["--baseline", "n" * 300, "--update-baseline"], {}, 99, "n: file name too long", id="baseline-misnamed"
    ),
    pytest.param(["--fail-on", "new>0"], {}, 99, "--baseline: there is none", id="rule-without-its-baseline"),
    pytest.param(["--summary-json", "none/summary"], {}, 0, "--summary-json: none/summary: ", id="summary-unwritable"),
    pytest.param(["--report", "."], {}, 0, "--report: .: ", id="page-unwritable"),
    pytest.param(["--markdown", "none/summary"], {}, 0, "--markdown: none/summary: ", id="markdown-unwritable"),
    pytest.param(["--junit", "none/tests"], {}, 0, "--junit: none/tests: ", id="junit-unwritable"),
    pytest.param(["--step-summary"], {"GITHUB_STEP_SUMMARY": "."}, 0, "--step-summary: ", id="step-summary-unwritable"),
    pytest.param(["--join", "github"], {}, 0, "--join github: ", id="nothing-to-join"),
    pytest.param(["--output", "none/output"], {}, 0, "none/output", id="output-unwritable"),
    pytest.param(["--record", "none/recording"], {}, 0, "none/recording", id="recording-unwritable"),
    pytest.param([], UNREACHABLE, 0, "connection refused", id="no-back-end"),
    pytest.param([], {"TRACEPARENT": "00-zz"}, 0, "TRACEPARENT is not joined", id="trace-context-malformed"),
    pytest.param([], {"CSM_OTEL_DRAIN_SECONDS": "soon"}, 0, "CSM_OTEL_DRAIN_SECONDS: ", id="setting-malformed"),
]


@pytest.mark.parametrize(("command", "own_code"), ENDINGS)
@pytest.mark.parametrize(("flags", "variables", "verdict", "said"), TROUBLES)
def test_exit_code(
    flags: list[str],
    variables: dict[str, str],
    verdict: int,
    said: str,
    command: tuple[str, ...],
    own_code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is the command's own; where that is 0, the verdict's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text("calls = [", "utf-8")
    (tmp_path / "empty.toml").write_text("schema = 1\ncalls = []\n", "utf-8")

    done = run("exec", *flags, "--", *command, env=environment(**variables))

    assert done.returncode == (own_code or verdict)
    assert said in done.stderr.decode()
    assert not has_traceback(done.stderr)


@pytest.mark.parametrize(
    ("flags", "command", "code"),
    [
        pytest.param(["--fail-on", "calls=0"], ["no-such-command"], 127, id="not-found"),
        pytest.param(["--fail-on", "calls=0"], ["/"], 126, id="not-executable"),
        pytest.param(["--fail-on", "calls>>0"], ["true"], 2, id="rule-unreadable"),
        pytest.param(["--fail-on", "calls=0"], ["true"], 99, id="no-calls"),
    ],
)
def test_exit_code_without_calls(flags: list[str], command: list[str], code: int) -> None:
    """A command that was not started is not judged."""
    assert run("exec", *flags, "--", *command, env=environment()).returncode == code
