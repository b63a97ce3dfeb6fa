"""Which command runs, with which arguments, and the exit codes of errors. Real processes are in tests/e2e."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from csm_otel.commands import cli
from csm_otel.errors import ControlError, Fault, ListenError, RecordingError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable


pytestmark = pytest.mark.usefixtures("no_variables")


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the variables that these tests are about."""
    for name in ("CSM_OTEL_PORT", "OTEL_TRACES_EXPORTER", "OTEL_BSP_SCHEDULE_DELAY"):
        monkeypatch.delenv(name, raising=False)


def calls_of(monkeypatch: pytest.MonkeyPatch, name: str, do: Callable[[], int]) -> list[tuple[Any, ...]]:
    """Replace a command by ``do`` and return a list of the arguments of its calls."""
    calls: list[tuple[Any, ...]] = []

    def command(*arguments: Any) -> int:
        calls.append(arguments)
        return do()

    monkeypatch.setattr(f"csm_otel.commands.{name}", command)
    return calls


def test_serve_has_its_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags and variables are read before the command runs, and its result is the exit code."""
    calls = calls_of(monkeypatch, "serve.serve", lambda: 7)
    monkeypatch.setenv("CSM_OTEL_PORT", "4242")

    assert cli.main(["serve", "--host", "::1"]) == 7
    ((configuration, _),) = calls
    assert (configuration.settings.host, configuration.settings.port) == ("::1", 4242)
    assert configuration.exporters == ("otlp",)


def test_replay_has_its_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is given beside the configuration."""
    calls = calls_of(monkeypatch, "replay.replay", lambda: 0)

    assert cli.main(["replay", "--speed", "2", "a.ndjson"]) == 0
    ((path, configuration, _),) = calls
    assert (path, configuration.settings.speed, configuration.drain_seconds) == (Path("a.ndjson"), 2.0, 30.0)


def test_report_has_its_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are given beside the configuration; the standard variables are not read."""
    calls = calls_of(monkeypatch, "report.report", lambda: 1)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "soon")

    assert cli.main(["report", "--sort", "name", "a.ndjson", "b"]) == 1
    ((paths, configuration, _),) = calls
    assert (paths, configuration.settings.sort) == ([Path("a.ndjson"), Path("b")], "name")


def test_flush_reads_settings_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard variables are not read."""
    calls = calls_of(monkeypatch, "flush.flush", lambda: 1)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "soon")

    assert cli.main(["flush", "--timeout", "3"]) == 1
    assert calls[0][0].timeout == 3


def test_health_reads_its_own_settings_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of other commands are not read, however wrong they are; a probe must be quick."""
    calls = calls_of(monkeypatch, "health.health", lambda: 1)
    monkeypatch.setenv("CSM_OTEL_PORT", "4242")
    monkeypatch.setenv("CSM_OTEL_GRACE_SECONDS", "soon")

    assert cli.main(["health", "--check", "ready"]) == 1
    ((settings,),) = calls
    assert (settings.port, settings.check) == (4242, "ready")


def test_exec_has_its_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its variables are read later: the command runs with any values of them."""
    calls = calls_of(monkeypatch, "exec.run_command", lambda: 3)
    monkeypatch.setenv("CSM_OTEL_PORT", "x")

    assert cli.main(["exec", "--name", "n", "--", "true"]) == 3
    ((command, flags),) = calls
    assert (command, flags["name"]) == (["true"], "n")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        pytest.param(["serve", "--group", "x"], ["--group", "CSM_OTEL_PORT", "OTEL_TRACES_EXPORTER"], id="serve"),
        pytest.param(["replay", "--speed=0", "f"], ["--speed", "CSM_OTEL_PORT", "OTEL_TRACES_EXPORTER"], id="replay"),
        pytest.param(["flush", "--timeout", "-1"], ["--timeout", "CSM_OTEL_PORT"], id="flush"),
        pytest.param(["health", "--check", "x"], ["--check", "CSM_OTEL_PORT"], id="health"),
        pytest.param(["exec", "--grace-seconds", "x", "true"], ["--grace-seconds"], id="exec"),
        pytest.param(["exec"], ["exec"], id="no-command"),
        pytest.param(["serve", "--port"], ["--port"], id="no-value"),
    ],
)
def test_all_faults_at_once(
    words: list[str], names: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unusable flags and variables end it with 2 and a line each; nothing is started."""
    monkeypatch.setenv("CSM_OTEL_PORT", "x")
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin")

    assert cli.main(words) == 2
    assert [line.split(": ")[1] for line in capsys.readouterr().err.splitlines()] == names


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        pytest.param({"CSM_OTEL_PORT": "http"}, ["CSM_OTEL_PORT"], id="variable"),
        pytest.param(
            {"CSM_OTEL_PORT": "70000", "OTEL_BSP_SCHEDULE_DELAY": "soon", "OTEL_SPAN_EVENT_COUNT_LIMIT": "few"},
            ["CSM_OTEL_PORT", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_SPAN_EVENT_COUNT_LIMIT"],
            id="a line per fault",
        ),
        pytest.param({"OTEL_EXPORTER_OTLP_PROTOCOL": "smoke"}, ["OTEL_EXPORTER_OTLP_PROTOCOL"], id="protocol"),
        pytest.param({"OTEL_BSP_SCHEDULE_DELAY": "soon"}, ["OTEL_BSP_SCHEDULE_DELAY"], id="batch delay"),
        pytest.param(
            {"OTEL_BSP_SCHEDULE_DELAY": "9" * 400, "OTEL_METRIC_EXPORT_INTERVAL": "99999999999999999"},
            ["OTEL_BSP_SCHEDULE_DELAY", "OTEL_METRIC_EXPORT_INTERVAL"],
            id="numbers too large",
        ),
        pytest.param({"OTEL_SPAN_EVENT_COUNT_LIMIT": "few"}, ["OTEL_SPAN_EVENT_COUNT_LIMIT"], id="limit"),
    ],
)
def test_bad_settings_of_serve(
    variables: dict[str, str],
    names: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It ends with 2 and a line per fault that names the flag or variable."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert cli.main(["serve"]) == 2
    assert [line.split(": ")[1] for line in capsys.readouterr().err.splitlines()] == names


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        pytest.param(SettingsError([Fault("--file", "no")]), 2, "--file: no", id="settings"),
        pytest.param(ListenError("in use"), 1, "in use", id="listen"),
        pytest.param(ControlError("no answer"), 1, "no answer", id="control"),
        pytest.param(RecordingError("no recording"), 1, "no recording", id="recording"),
    ],
)
def test_errors_of_a_command(
    error: Exception, code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error that the operator can fix is one line and an exit code."""

    def fail() -> int:
        raise error

    calls_of(monkeypatch, "serve.serve", fail)

    assert cli.main(["serve"]) == code
    assert capsys.readouterr().err == f"csm-otel: {line}\n"
