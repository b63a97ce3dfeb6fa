"""What the command of ``exec`` is started with: its place in the trace, its names, and its environment.

Standard library only: the command must not wait for the rest.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.commands.head_decision import is_root_sampled
from csm_otel.csm.traceparent import TraceParent, client_id_with, parse_traceparent, split_client_id
from csm_otel.process.command_name import name_of_command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from csm_otel.config.early import Early

LOOPBACK = "127.0.0.1"
_C_LOCALES = ("", "C", "POSIX")
_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")  # what PEP 538 writes


class Launch(NamedTuple):
    """How a command was started: its place in the trace and its names."""

    argv: tuple[str, ...]
    command_name: str
    """Name of the root span: the command's script, else its program."""
    service_name: str
    """The application's name, which the client id carries."""
    context: TraceParent
    parent: TraceParent | None
    """What the command's span is below; None: it is the root."""
    trace_state: str
    propagates: bool
    """Whether the trace is passed on in ``TRACEPARENT``."""


def inherited_environment() -> dict[str, str]:
    """Return the environment that this process was started with.

    In the C locale Python writes LC_CTYPE into its own (PEP 538), which would change how the command reads its bytes.
    """
    environ = dict(os.environ)
    try:
        initial = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:  # no /proc: undo what Python does
        is_coerced = not environ.get("LC_ALL") and environ.get("LANG", "") in _C_LOCALES
        if is_coerced and environ.get("LC_CTYPE") in _COERCED:
            del environ["LC_CTYPE"]
        return environ
    environ.pop("LC_CTYPE", None)
    given = (os.fsdecode(pair) for pair in initial if pair.startswith(b"LC_CTYPE="))
    return environ | dict(pair.split("=", 1) for pair in given)


def launch_of(command: Sequence[str], environ: Mapping[str, str], early: Early) -> Launch:
    """Return how to start the command: its names, and its place in the trace of ``environ`` or in a new one."""
    inherited, _ = split_client_id(environ.get("AWS_CSM_CLIENT_ID", ""))
    command_name = name_of_command(command)
    service_name = early.name or inherited or early.service_name or command_name
    parent = parse_traceparent(environ.get("TRACEPARENT", "")) if early.propagates else None
    trace_id = parent.trace_id if parent else _random_id(16)
    sampled = is_root_sampled(early.sampler, trace_id, parent_sampled=parent.sampled if parent else None)
    context = TraceParent(trace_id, _random_id(8), sampled)
    trace_state = environ.get("TRACESTATE", "") if parent else ""
    return Launch(tuple(command), command_name, service_name, context, parent, trace_state, early.propagates)


def environment_of(environ: Mapping[str, str], launch: Launch, *, port: int) -> dict[str, str]:
    """Return the command's environment: ``environ`` with CSM switched on, sent to ``port``, and the trace to join."""
    added = {
        "AWS_CSM_ENABLED": "true",  # the only spelling that every SDK reads as yes
        "AWS_CSM_HOST": LOOPBACK,
        "AWS_CSM_PORT": str(port),
        "AWS_CSM_CLIENT_ID": client_id_with(launch.service_name, launch.context),
    }
    if launch.propagates:
        added["TRACEPARENT"] = str(launch.context)  # TRACESTATE and BAGGAGE are passed on unchanged
        if launch.parent is None:
            environ = {name: value for name, value in environ.items() if name != "TRACESTATE"}  # another trace's
    return {**environ, **added}


def _random_id(size_bytes: int) -> int:
    while not (value := int.from_bytes(os.urandom(size_bytes), "big")):
        continue  # zero is not a valid id
    return value
