"""``csm-otel exec``: run a command under a private agent.

Standard library only, up to the command's start: it must not wait for us. The rest is in `csm_otel.commands.watch`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from csm_otel.commands.head_decision import is_root_sampled
from csm_otel.csm.traceparent import TraceParent, client_id_with, parse_traceparent, split_client_id
from csm_otel.errors import CommandError, ListenError
from csm_otel.intake.binding import DEFAULT_BUFFER_BYTES, bind_socket
from csm_otel.process.child import Child
from csm_otel.process.command_name import name_of_command
from csm_otel.process.speaker import Speaker, silence_libraries

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

_LOOPBACK = "127.0.0.1"
_MAX_BUFFER_BYTES = 2**30
_C_LOCALES = ("", "C", "POSIX")
_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")  # what PEP 538 writes
_YES = ("1", "true", "t", "yes", "y", "on")  # what `Settings` takes for true


class Launch(NamedTuple):
    """How a command was started: its place in the trace and its names."""

    argv: tuple[str, ...]
    command_name: str
    """What a person would call it: the root span's name."""
    service_name: str
    """The application's name, which the client id carries."""
    context: TraceParent
    parent: TraceParent | None
    trace_state: str


def run_command(command: Sequence[str], flags: Mapping[str, object]) -> int:
    """Run the command, trace its AWS calls, and return its exit code: 128+n for a signal, 127 or 126 if not started.

    Whatever happens to the tracing, the command runs and its result stands.
    """
    environ = _inherited_environment()
    speaker = Speaker(held=True, quiet=_is_quiet(flags, environ))
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return _run_untraced(command, environ, speaker)
    launch = _launch(command, environ, str(flags.get("name") or environ.get("CSM_OTEL_NAME", "")))
    try:
        sock = bind_socket(_LOOPBACK, 0, buffer_bytes=_buffer_bytes(flags, environ))
    except ListenError as error:
        speaker.say(f"the command ran untraced: {error}")
        return _run_untraced(command, environ, speaker)
    child = _start(command, _environment(environ, launch, sock.getsockname()[1]), speaker)
    if isinstance(child, int):
        return child
    _watch(child, sock, launch, flags, speaker)
    code = child.wait()
    speaker.release()
    return code


def _inherited_environment() -> dict[str, str]:
    """Return the environment that this process was started with.

    In the C locale Python writes LC_CTYPE into its own (PEP 538), which would change how the command reads its bytes.
    """
    environ = dict(os.environ)
    try:
        initial = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:  # no /proc: judge by what Python does
        is_coerced = not environ.get("LC_ALL") and environ.get("LANG", "") in _C_LOCALES
        if is_coerced and environ.get("LC_CTYPE") in _COERCED:
            del environ["LC_CTYPE"]
        return environ
    environ.pop("LC_CTYPE", None)
    given = (os.fsdecode(pair) for pair in initial if pair.startswith(b"LC_CTYPE="))
    return environ | dict(pair.split("=", 1) for pair in given)


def _run_untraced(command: Sequence[str], environ: Mapping[str, str], speaker: Speaker) -> int:
    child = _start(command, environ, speaker)
    code = child if isinstance(child, int) else child.wait()
    speaker.release()
    return code


def _start(command: Sequence[str], environ: Mapping[str, str], speaker: Speaker) -> Child | int:
    try:
        return Child.start(command, environ)
    except CommandError as error:
        speaker.release()
        Speaker().write(f"{error}\n")  # however quiet we are: without us the shell would say it
        return error.exit_code


def _watch(child: Child, sock: socket.socket, launch: Launch, flags: Mapping[str, object], speaker: Speaker) -> None:
    silence_libraries()
    try:
        from csm_otel.commands.watch import watch  # ruff: ignore[import-outside-top-level] - loaded while the command runs

        watch(child, sock, launch, flags, speaker)
    except Exception as error:  # ruff: ignore[blind-except] - no fault of the tracing may reach the command's result
        speaker.say(f"tracing failed: {type(error).__name__}")  # the text might quote what was being traced


def _launch(command: Sequence[str], environ: Mapping[str, str], given_name: str) -> Launch:
    inherited, _ = split_client_id(environ.get("AWS_CSM_CLIENT_ID", ""))
    command_name = name_of_command(command)
    configured = environ.get("OTEL_SERVICE_NAME", "") or _resource_service_name(environ)
    service_name = given_name or inherited or configured or command_name
    parent = parse_traceparent(environ.get("TRACEPARENT", "")) if _propagates(environ, "tracecontext") else None
    trace_id = parent.trace_id if parent else _random_id(16)
    sampled = is_root_sampled(trace_id, parent.sampled if parent else None, environ)
    context = TraceParent(trace_id, _random_id(8), sampled)
    trace_state = environ.get("TRACESTATE", "") if parent else ""
    return Launch(tuple(command), command_name, service_name, context, parent, trace_state)


def _is_quiet(flags: Mapping[str, object], environ: Mapping[str, str]) -> bool:
    given = flags.get("quiet")
    return environ.get("CSM_OTEL_QUIET", "").strip().lower() in _YES if given is None else bool(given)


def _resource_service_name(environ: Mapping[str, str]) -> str:
    pairs = (pair.partition("=") for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    return next((unquote(value.strip()) for key, _, value in pairs if key.strip() == "service.name"), "")


def _random_id(size_bytes: int) -> int:
    while not (value := int.from_bytes(os.urandom(size_bytes), "big")):
        continue  # zero is no id
    return value


def _environment(environ: Mapping[str, str], launch: Launch, port: int) -> dict[str, str]:
    """Return the command's environment: ours, with CSM switched on and pointed at us, and the trace to join."""
    added = {
        "AWS_CSM_ENABLED": "true",  # the only spelling that every SDK takes for yes
        "AWS_CSM_HOST": _LOOPBACK,
        "AWS_CSM_PORT": str(port),
        "AWS_CSM_CLIENT_ID": client_id_with(launch.service_name, launch.context),
    }
    if _propagates(environ, "tracecontext"):
        added["TRACEPARENT"] = str(launch.context)  # TRACESTATE and BAGGAGE are passed on as they are
        if launch.parent is None:
            environ = {name: value for name, value in environ.items() if name != "TRACESTATE"}  # it was another trace's
    return {**environ, **added}


def _propagates(environ: Mapping[str, str], propagator: str) -> bool:
    names = environ.get("OTEL_PROPAGATORS", "").strip() or "tracecontext,baggage"
    return propagator in [name.strip() for name in names.split(",")]


def _buffer_bytes(flags: Mapping[str, object], environ: Mapping[str, str]) -> int:
    text = str(flags.get("receive_buffer_bytes") or environ.get("CSM_OTEL_RECEIVE_BUFFER_BYTES", ""))
    return min(int(text), _MAX_BUFFER_BYTES) if text.isascii() and text.isdigit() else DEFAULT_BUFFER_BYTES
