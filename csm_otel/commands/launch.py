"""What the command of ``exec`` is started with: its place in the trace, its names, and its environment.

Standard library only: the command must not wait for the rest.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.commands.head_decision import is_root_sampled
from csm_otel.config.standard import XRAY_PROPAGATORS
from csm_otel.csm.traceparent import TraceParent, client_id_with, parse_traceparent, split_client_id, why_unusable
from csm_otel.process.command_name import name_of_command

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from csm_otel.config.early import Early

LOOPBACK = "127.0.0.1"
_W3C = "tracecontext"
_W3C_VARIABLE, _XRAY_VARIABLE = "TRACEPARENT", "_X_AMZN_TRACE_ID"
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
    xray: str = ""
    """The tracing header of AWS X-Ray to pass on; empty: none."""
    troubles: tuple[str, ...] = ()
    """A line for each trace context of the environment that cannot be used."""


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


class Place(NamedTuple):
    """The place in a trace that the environment describes."""

    trace_id: int | None
    """None: there is no such place."""
    parent: TraceParent | None
    """Sampled if the decision is left to the receiver."""
    sampled: bool | None
    """The decision about the parent; None: there is none."""
    trace_state: str
    xray_fields: str
    """Of the tracing header, those that are no part of the trace context."""
    troubles: tuple[str, ...]


def launch_of(
    command: Sequence[str],
    environ: Mapping[str, str],
    early: Early,
    *,
    clock_ns: Callable[[], int] = time.time_ns,
) -> Launch:
    """Return how to start the command: its names, and its place in the trace of ``environ`` or in a new one.

    ``clock_ns`` returns epoch nanoseconds.
    """
    inherited, _ = split_client_id(environ.get("AWS_CSM_CLIENT_ID", ""))
    command_name = name_of_command(command)
    service_name = early.name or inherited or early.service_name or command_name
    trace_id, parent, parent_sampled, trace_state, xray_fields, troubles = place_of(environ, early)
    if trace_id is None:
        trace_id = _random_id(16)
        if early.xray_trace_ids:
            from csm_otel.csm.xray import xray_trace_id  # ruff: ignore[import-outside-top-level] - few need it

            trace_id = xray_trace_id(trace_id, clock_ns())
    sampled = is_root_sampled(early.sampler, trace_id, parent_sampled=parent_sampled)
    if parent is not None and parent_sampled is None:
        parent = parent._replace(sampled=sampled)
    context = TraceParent(trace_id, _random_id(8), sampled)
    return Launch(
        argv=tuple(command),
        command_name=command_name,
        service_name=service_name,
        context=context,
        parent=parent,
        trace_state=trace_state,
        propagates=_W3C in early.propagators,
        xray=_xray_header(context, xray_fields) if _has_xray(early.propagators) else "",
        troubles=troubles,
    )


def place_of(environ: Mapping[str, str], early: Early) -> Place:
    """Return the place in the trace of the environment, else in that of its CI run if that is to be joined."""
    place = _inherited(environ, early.propagators)
    if place.parent is not None or early.join == "none":
        return place
    from csm_otel.ci.joining import join  # ruff: ignore[import-outside-top-level] - few need it

    trace_id, parent_id, trouble = join(early.join, early.job, environ)
    parent = None if trace_id is None or parent_id is None else TraceParent(trace_id, parent_id, sampled=True)
    return place._replace(
        trace_id=trace_id,
        parent=parent,
        troubles=(*place.troubles, *([f"--join {early.join}: {trouble}"] if trouble else [])),
    )


def _inherited(environ: Mapping[str, str], propagators: Sequence[str]) -> Place:
    """Return the place that propagation variables describe; of several formats that of the last one, as specified."""
    parents: dict[str, tuple[TraceParent, bool | None]] = {}
    troubles = []
    text = environ.get(_W3C_VARIABLE, "") if _W3C in propagators else ""
    if w3c := parse_traceparent(text):
        parents[_W3C] = w3c, w3c.sampled
    elif text:
        troubles.append(f"{_W3C_VARIABLE} is not joined: {why_unusable(text)}")
    fields = ""
    if (text := environ.get(_XRAY_VARIABLE, "")) and _has_xray(propagators):
        from csm_otel.csm.xray import parse_tracing_header  # ruff: ignore[import-outside-top-level] - few need it

        if header := parse_tracing_header(text):
            xray, fields = TraceParent(header.trace_id, header.span_id, sampled=True), header.others
            parents |= dict.fromkeys(
                XRAY_PROPAGATORS, (xray._replace(sampled=header.sampled is not False), header.sampled)
            )
        else:
            troubles.append(f"{_XRAY_VARIABLE} is not joined: it is not of the form Root=1-...;Parent=...;Sampled=1")
    parent, sampled = next((parents[name] for name in reversed(propagators) if name in parents), (None, None))
    is_state_of_parent = w3c is not None and parent is not None and w3c[:2] == parent[:2]
    state = environ.get("TRACESTATE", "") if is_state_of_parent else ""
    return Place(parent.trace_id if parent else None, parent, sampled, state, fields, tuple(troubles))


def _has_xray(propagators: Sequence[str]) -> bool:
    return any(name in propagators for name in XRAY_PROPAGATORS)


def _xray_header(context: TraceParent, fields: str) -> str:
    from csm_otel.csm.xray import tracing_header  # ruff: ignore[import-outside-top-level] - few need it

    return tracing_header(context, fields)


def environment_of(environ: Mapping[str, str], launch: Launch, *, port: int) -> dict[str, str]:
    """Return the command's environment: ``environ`` with CSM switched on, sent to ``port``, and the trace to join."""
    added = {
        "AWS_CSM_ENABLED": "true",  # the only spelling that every SDK reads as yes
        "AWS_CSM_HOST": LOOPBACK,
        "AWS_CSM_PORT": str(port),
        "AWS_CSM_CLIENT_ID": client_id_with(launch.service_name, launch.context),
    }
    if launch.xray:
        added[_XRAY_VARIABLE] = launch.xray
    if launch.propagates:
        added[_W3C_VARIABLE] = str(launch.context)  # TRACESTATE and BAGGAGE are passed on unchanged
        if not launch.trace_state:
            environ = {name: value for name, value in environ.items() if name != "TRACESTATE"}  # another trace's
    return {**environ, **added}


def _random_id(size_bytes: int) -> int:
    while not (value := int.from_bytes(os.urandom(size_bytes), "big")):
        continue  # zero is not a valid id
    return value
