"""The command's result under any failure of its tracing. Real commands are in tests/e2e/test_exec.py."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest

from csm_otel.commands import exec as exec_command
from csm_otel.commands.exec import run_command
from csm_otel.errors import CommandError, CommandNotFoundError, ListenError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CODE = 41


class _Started:
    """A command that has been started, and ends with `CODE`."""

    def __init__(self) -> None:
        self.environ: dict[str, str] = {}
        self.code = 0
        self.failure = ""

    def start(self, _argv: Sequence[str], environ: Mapping[str, str]) -> _Started:
        self.environ = dict(environ)
        self.code = CODE
        return self

    def wait(self) -> int:
        return self.code


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> _Started:
    """Replace the command by a stand-in, without the variables that these tests set."""
    for name in ("CSM_OTEL_QUIET", "OTEL_SDK_DISABLED", "AWS_CSM_ENABLED"):
        monkeypatch.delenv(name, raising=False)
    command = _Started()
    monkeypatch.setattr(exec_command, "Child", command)
    return command


def watch_by(monkeypatch: pytest.MonkeyPatch, error: BaseException | None) -> list[tuple[Any, ...]]:
    """Make the tracing fail, or do nothing, and return a list of the arguments of its calls."""
    calls: list[tuple[Any, ...]] = []

    def watch(*arguments: Any) -> None:
        calls.append(arguments)
        if error is not None:
            raise error

    monkeypatch.setattr("csm_otel.commands.watch.watch", watch)
    return calls


@pytest.mark.parametrize("flags", [{}, {"receive_buffer_bytes": 8192}])
def test_it_is_traced(started: _Started, flags: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    """The command sends to a socket of csm-otel, which is watched; its code is returned."""
    calls = watch_by(monkeypatch, None)

    assert run_command(["true"], flags) == CODE
    ((child, sock, launch, given, _),) = calls
    assert (child, given) == (started, flags)
    assert started.environ["AWS_CSM_PORT"] == str(sock.getsockname()[1])
    assert started.environ["AWS_CSM_CLIENT_ID"].endswith(str(launch.context))
    sock.close()


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ValueError("hunter2"), "ValueError"),
        (MemoryError(), "MemoryError"),
        (SystemExit("hunter2"), "SystemExit"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (BaseException("hunter2"), "BaseException"),
        (OSError("hunter2"), "OSError"),
        (OSError(errno.EMFILE, "hunter2", "hunter2"), "OSError: too many open files"),
    ],
)
def test_tracing_that_fails(
    started: _Started,
    error: BaseException,
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line has the kind of the error, not its text, which may quote traced data; the code is the command's."""
    calls = watch_by(monkeypatch, error)

    assert run_command(["true"], {}) == CODE
    assert capsys.readouterr().err == f"csm-otel: tracing failed: {shown}\n"
    calls[0][1].close()
    assert started.environ["AWS_CSM_ENABLED"] == "true"


def test_an_end_that_cannot_be_noticed(
    started: _Started, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is traced, and one line says why; the command is waited for."""
    calls = watch_by(monkeypatch, None)
    started.failure = "can't start new thread"

    assert run_command(["true"], {}) == CODE
    assert capsys.readouterr().err == "csm-otel: the command ran untraced: can't start new thread\n"
    assert calls == []


@pytest.mark.parametrize("kind", [MemoryError, ValueError])
def test_output_that_fails_altogether(
    started: _Started, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code is the command's even if not a line can be written."""
    calls = watch_by(monkeypatch, ValueError())

    def fail(*_arguments: object) -> None:
        raise kind

    monkeypatch.setattr("csm_otel.process.speaker.Speaker.say", fail)
    monkeypatch.setattr("csm_otel.process.speaker.Speaker.release", fail)

    assert run_command(["true"], {}) == CODE
    calls[0][1].close()
    assert started.environ["AWS_CSM_ENABLED"] == "true"


def test_no_socket_available(
    started: _Started, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command runs untraced, and a line says why."""

    def refuse(*_arguments: object, **_named: object) -> None:
        raise ListenError("too many open files")

    monkeypatch.setattr(exec_command, "bind_socket", refuse)

    assert run_command(["true"], {}) == CODE
    assert capsys.readouterr().err == "csm-otel: the command ran untraced: too many open files\n"
    assert "AWS_CSM_ENABLED" not in started.environ


@pytest.mark.parametrize("name", ["launch_of", "bind_socket"])
def test_a_defect_before_the_start(
    started: _Started, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command runs untraced in its own environment, and a line has the kind of the error."""

    def fail(*_arguments: object, **_named: object) -> None:
        raise IndexError("hunter2")

    monkeypatch.setattr(exec_command, name, fail)

    assert run_command(["true"], {}) == CODE
    assert capsys.readouterr().err == "csm-otel: the command ran untraced: IndexError\n"
    assert "AWS_CSM_ENABLED" not in started.environ


@pytest.mark.parametrize("quiet", [True, False])
def test_disabled(
    started: _Started, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, quiet: bool
) -> None:
    """With OTEL_SDK_DISABLED the command's environment is unchanged, and nothing is printed."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "TRUE")

    assert run_command(["true"], {"quiet": quiet}) == CODE
    assert not capsys.readouterr().err
    assert "AWS_CSM_ENABLED" not in started.environ


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(CommandNotFoundError("x: command not found"), 127, id="not-found"),
        pytest.param(CommandError("x: permission denied"), 126, id="not-executable"),
    ],
)
def test_a_command_that_cannot_be_started(
    started: _Started,
    error: CommandError,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It has a shell's code and line, even with --quiet."""

    def fail(_argv: object, _environ: object) -> None:
        raise error

    monkeypatch.setattr(started, "start", fail)

    assert run_command(["x"], {"quiet": True}) == code
    assert capsys.readouterr().err == f"{error}\n"
