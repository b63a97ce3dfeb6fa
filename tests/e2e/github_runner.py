"""Runs a job of a GitHub Actions workflow as GitHub's runner does, as far as the examples need it: `run_job`.

Steps run in bash in order; ``GITHUB_ENV``, ``GITHUB_PATH`` and ``GITHUB_STEP_SUMMARY`` are files, the last one a step.
A background step runs beside those after it until it is cancelled: SIGINT, SIGTERM, SIGKILL, to its shell only. Actions
(``uses``) are left to functions. An expression is replaced if its value is given, and is an error otherwise.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from children.processes import as_from_a_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_STEP_MINUTES = 2
# https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-cancellation
CANCELLATION = ((signal.SIGINT, 7.5), (signal.SIGTERM, 2.5), (signal.SIGKILL, None))
"""The signals that end a step, each with the seconds after which the next one comes."""
_KNOWN = {
    "name", "id", "if", "uses", "with", "run", "env", "background", "cancel", "timeout-minutes", "continue-on-error",
}  # fmt: skip


class CannotRunError(Exception):
    """Raised for what this runner does not know: a keyword, an expression, an action."""


@dataclass
class Step:
    """How a step went."""

    name: str
    code: int | None = None
    """None: it was skipped, or is an action."""
    log: str = ""
    summary: str = ""
    may_fail: bool = False


@dataclass
class Job:
    """How a job went."""

    steps: dict[str, Step] = field(default_factory=dict)
    """By id, else by name."""

    @property
    def succeeded(self) -> bool:
        """Whether no step failed that may not."""
        return not any(step.code for step in self.steps.values() if not step.may_fail)


@dataclass
class _Background:
    process: subprocess.Popen[bytes]
    step: Step
    log: Path
    summary: Path


def _finish(background: _Background, code: int) -> None:
    background.step.code = code
    background.step.log = background.log.read_text("utf-8")
    background.step.summary = background.summary.read_text("utf-8")


class _Runner:
    def __init__(
        self,
        folder: Path,
        environ: Mapping[str, str],
        expressions: Mapping[str, str],
        actions: Mapping[str, Callable[[Mapping[str, str], dict[str, str]], None]],
    ) -> None:
        self._folder = folder
        self._environ = dict(environ)
        self._expressions = expressions
        self._actions = actions
        self._background: dict[str, _Background] = {}
        self.job = Job()

    def run(self, workflow: Mapping[str, Any], job: Mapping[str, Any]) -> None:
        self._environ |= self._resolved(workflow.get("env", {})) | self._resolved(job.get("env", {}))
        try:
            for number, step in enumerate(job["steps"]):
                self._run_step(number, step)
        finally:
            for name in list(self._background):
                self._cancel(name)

    def _run_step(self, number: int, step: Mapping[str, Any]) -> None:
        if unknown := step.keys() - _KNOWN:
            raise CannotRunError(f"a step with {', '.join(sorted(unknown))}")
        result = Step(step.get("name", ""), may_fail=step.get("continue-on-error", False))
        name = step.get("id") or step.get("name") or step.get("uses") or f"step {number}"
        condition = step.get("if", "success()")
        if condition not in ("success()", "always()", "${{ always() }}"):
            raise CannotRunError(f"the condition {condition}")
        if condition == "success()" and not self.job.succeeded:
            self.job.steps[name] = result
            return
        if "cancel" in step:
            self._cancel(step["cancel"])
        elif "uses" in step:
            self._use(step["uses"], self._resolved(step.get("with", {})))
            self.job.steps[name] = result
        else:
            self.job.steps[name] = result
            self._start(number, name, step, result)

    def _use(self, action: str, inputs: Mapping[str, str]) -> None:
        if action not in self._actions:
            raise CannotRunError(f"the action {action}")
        self._actions[action](inputs, self._environ)

    def _start(self, number: int, name: str, step: Mapping[str, Any], result: Step) -> None:
        files = {
            variable: self._folder / f"{variable.lower()}_{number}"
            for variable in ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
        }
        for file in files.values():
            file.touch()
        script, log = self._folder / f"step_{number}.sh", self._folder / f"log_{number}"
        script.write_text(self._text(step["run"]), "utf-8")
        environ = self._environ | self._resolved(step.get("env", {}))
        # A shell without a terminal and without job control starts a command with & in which SIGINT is ignored.
        with log.open("wb") as stream, as_from_a_terminal():
            process = subprocess.Popen(
                ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", script),
                cwd=self._environ["GITHUB_WORKSPACE"],
                env=environ | {variable: str(file) for variable, file in files.items()},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        background = _Background(process, result, log, files["GITHUB_STEP_SUMMARY"])
        if step.get("background"):
            self._background[name] = background
            return
        try:
            code = process.wait(step.get("timeout-minutes", _STEP_MINUTES) * 60)
        finally:
            process.kill()
        _finish(background, code)
        self._environ |= dict(
            line.split("=", 1) for line in files["GITHUB_ENV"].read_text("utf-8").splitlines() if line
        )
        for folder in files["GITHUB_PATH"].read_text("utf-8").splitlines():
            self._environ["PATH"] = f"{folder}{os.pathsep}{self._environ['PATH']}"

    def _cancel(self, name: str) -> None:
        background = self._background.pop(name)
        process = background.process
        for number, seconds in CANCELLATION:
            process.send_signal(number)
            try:
                code = process.wait(seconds)
                break
            except subprocess.TimeoutExpired:
                continue
        _finish(background, code)

    def _resolved(self, values: Mapping[str, Any]) -> dict[str, str]:
        return {name: self._text(str(value)) for name, value in values.items()}

    def _text(self, text: str) -> str:
        def value(found: re.Match[str]) -> str:
            if found[1] not in self._expressions:
                raise CannotRunError(f"the expression {found[1]}")
            return self._expressions[found[1]]

        return re.sub(r"\$\{\{ *(.*?) *\}\}", value, text)


def run_job(
    workflow: Mapping[str, Any],
    name: str,
    *,
    folder: Path,
    environ: Mapping[str, str],
    expressions: Mapping[str, str],
    actions: Mapping[str, Callable[[Mapping[str, str], dict[str, str]], None]],
) -> Job:
    """Run a job of a workflow, with the runner's own files in ``folder``, and return how its steps went.

    ``expressions`` are the values of ``${{ ... }}`` by their text; an action is called with its inputs and with the
    environment of the steps after it, which it may change.

    Raises:
        CannotRunError: the job has something that this runner does not know.
    """
    runner = _Runner(folder, environ, expressions, actions)
    runner.run(workflow, workflow["jobs"][name])
    return runner.job
