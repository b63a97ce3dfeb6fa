"""``csm-otel exec``: run a command under a private agent.

Standard library only until the command is started, which must not wait. The rest is in `csm_otel.commands.watch`.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from csm_otel.commands.launch import LOOPBACK, Launch, environment_of, inherited_environment, launch_of
from csm_otel.config.early import read_early
from csm_otel.errors import CommandError, ListenError
from csm_otel.intake.binding import bind_socket
from csm_otel.process.child import Child
from csm_otel.process.speaker import Speaker, silence_libraries

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence


def run_command(command: Sequence[str], flags: Mapping[str, object]) -> int:
    """Run the command, trace its AWS calls, and return its exit code: 128+n for a signal, 127 or 126 if not started.

    The command runs and its result stands, even if tracing fails.
    """
    environ = inherited_environment()
    early = read_early(flags, environ)
    speaker = Speaker(held=True, quiet=early.is_quiet)
    if early.is_disabled:
        return _run_untraced(command, environ, speaker)
    try:
        launch = launch_of(command, environ, early)
        sock = bind_socket(LOOPBACK, 0, buffer_bytes=early.receive_buffer_bytes)
        traced = environment_of(environ, launch, port=sock.getsockname()[1])
    except ListenError as error:
        speaker.say(f"the command ran untraced: {error}")
        return _run_untraced(command, environ, speaker)
    except Exception as error:  # ruff: ignore[blind-except] - a defect of ours is no reason not to run the command
        speaker.say(f"the command ran untraced: {_kind_of(error)}")
        return _run_untraced(command, environ, speaker)
    child = _start(command, traced, speaker)
    if isinstance(child, int):
        return child
    if child.failure:
        speaker.say(f"the command ran untraced: {child.failure}")
        sock.close()
        return _result(child, speaker)
    verdict = _watch(child, sock, launch, flags, speaker)
    return _result(child, speaker) or verdict


def _run_untraced(command: Sequence[str], environ: Mapping[str, str], speaker: Speaker) -> int:
    child = _start(command, environ, speaker)
    return child if isinstance(child, int) else _result(child, speaker)


def _result(child: Child, speaker: Speaker) -> int:
    code = child.wait()
    with contextlib.suppress(BaseException):  # whatever there is to say
        speaker.release()
    return code


def _start(command: Sequence[str], environ: Mapping[str, str], speaker: Speaker) -> Child | int:
    try:
        return Child.start(command, environ)
    except CommandError as error:
        speaker.release()
        Speaker().write(f"{error}\n")  # even with --quiet: without csm-otel the shell would say it
        return error.exit_code


def _watch(child: Child, sock: socket.socket, launch: Launch, flags: Mapping[str, object], speaker: Speaker) -> int:
    """Return the exit code for a command that ends well."""
    try:
        silence_libraries()
        from csm_otel.commands.watch import watch  # ruff: ignore[import-outside-top-level] - loaded while the command runs

        return watch(child, sock, launch, flags, speaker)
    except BaseException as error:  # ruff: ignore[blind-except] - nothing in the tracing may change the command's result
        with contextlib.suppress(BaseException):  # there may be no memory for a line
            speaker.say(f"tracing failed: {_kind_of(error)}")
        return 0


def _kind_of(error: BaseException) -> str:
    """Return what kind of error it is, without its text, which might quote traced data."""
    kind = type(error).__name__
    return (
        f"{kind}: {os.strerror(error.errno).lower()}"
        if isinstance(error, OSError) and isinstance(error.errno, int)
        else kind
    )
