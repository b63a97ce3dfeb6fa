"""The part of ``exec`` that runs beside the command: its agent, its span, and the output at the end."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from csm_otel.commands.output import open_output
from csm_otel.commands.views import Views
from csm_otel.config.configuration import read_configuration
from csm_otel.config.environment import remove_variables
from csm_otel.files.line_file import STDOUT
from csm_otel.intake.nested import receiver_in, report_calls
from csm_otel.intake.receiver import Receiver
from csm_otel.process.garbage import begin_collection
from csm_otel.process.speaker import Speaker
from csm_otel.report.no_calls import render_no_calls
from csm_otel.report.tally import is_uneventful, render_tally
from csm_otel.spans.command import Command

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    from csm_otel.commands.launch import Launch
    from csm_otel.commands.live import Live
    from csm_otel.commands.verdict import Verdict
    from csm_otel.config.configuration import Configuration
    from csm_otel.config.settings import Settings
    from csm_otel.engine.bridge import Bridge
    from csm_otel.errors import Fault
    from csm_otel.process.child import Child
    from csm_otel.spans.data import SpanData


def watch(child: Child, sock: socket.socket, launch: Launch, flags: Mapping[str, object], speaker: Speaker) -> int:
    """Trace the command until it ends, deliver its spans, and print what it did and the tally.

    Returns the exit code for a command that ends well: another than 0 if a rule of ``--fail-on`` is broken.
    """
    replaced = receiver_in(os.environ)
    receiver = Receiver(sock)

    configuration, faults = read_configuration("exec", flags)
    remove_variables()
    if not launch.context.sampled:  # the back end does not get this trace, so that it has no address
        configuration = configuration._replace(settings=configuration.settings._replace(trace_url=""))
    views = Views(configuration.settings)
    live, verdict = _live(configuration.settings, child), _verdict(configuration.settings)
    observers = [one.add for one in (live, verdict) if one is not None]
    bridge = _build(configuration, receiver, launch, speaker, views=views, observers=observers, faults=faults)
    if bridge.outlets.shows and child.poll() is None:
        _ = views.buffer  # loaded while the command runs; one that is so short may have made no call
    begin_collection()
    bridge.run(until=lambda: child.poll() is not None, wake=child)
    task = configuration.pipeline_run.task if configuration.pipeline_run is not None else {}
    bridge.add_command(_command(child, launch, configuration.settings, task), now=time.monotonic())
    _cancel_when_interrupted(child, bridge)
    # Else what waits may have been sent before the kernel was asked for times, and would seem to arrive only now.
    is_exact = receiver.has_kernel_times and receiver.was_empty
    bridge.close(
        deadline=time.monotonic() + configuration.drain_seconds,
        until_ns=child.ended_ns if is_exact else None,
    )
    if replaced is not None and (calls := bridge.tally.calls + bridge.tally.calls_reported):
        report_calls(replaced, calls)
    if live is not None:
        live.close(say=speaker.say)
    return _report(configuration.settings, bridge, views, verdict, speaker, launch=launch, child=child)


def _live(settings: Settings, child: Child) -> Live | None:
    if not settings.live or settings.quiet:
        return None
    from csm_otel.commands.live import open_live  # ruff: ignore[import-outside-top-level]

    return open_live(sys.stderr, os.environ, start_ns=child.started_ns)


def _verdict(settings: Settings) -> Verdict | None:
    if not settings.fail_on and settings.baseline is None and not settings.update_baseline:
        return None
    from csm_otel.commands.verdict import Verdict  # ruff: ignore[import-outside-top-level]

    return Verdict(settings)


def _build(
    configuration: Configuration,
    receiver: Receiver,
    launch: Launch,
    speaker: Speaker,
    *,
    views: Views,
    observers: Sequence[Callable[[Sequence[SpanData]], None]],
    faults: list[Fault],
) -> Bridge:
    """Build the agent; unusable settings are reported and replaced by their defaults."""
    # not earlier: the SDK fails to load if a limit is no number
    from csm_otel.commands.wiring import build_bridge  # ruff: ignore[import-outside-top-level]
    from csm_otel.engine.source import Source  # ruff: ignore[import-outside-top-level]

    bridge = build_bridge(
        configuration,
        source=Source(
            receivers=[receiver],
            service_name=launch.service_name,
            context=launch.context,
            parent=launch.parent,
            trace_state=launch.trace_state,
        ),
        speaker=speaker,
        show=views.show,
        summarise=views.summarise,
        observers=observers,
        faults=faults,
    )
    for line in (*launch.troubles, *map(str, faults)):
        speaker.say(line)
    return bridge


def _cancel_when_interrupted(child: Child, bridge: Bridge) -> None:
    """Cancel what is still to be done when a signal comes after the command's end."""

    def cancel() -> None:
        child.interrupted.wait()
        bridge.cancel()

    with contextlib.suppress(RuntimeError):  # without another thread the delivery has its deadline only
        threading.Thread(target=cancel, name="cancel", daemon=True).start()


def _command(child: Child, launch: Launch, settings: Settings, task: Mapping[str, str]) -> Command:
    return Command(
        name=launch.command_name,
        executable=Path(launch.argv[0]).name,
        pid=child.pid,
        exit_code=child.exit_code or 0,
        signal_name=_signal_name(child.signal_number),
        start_ns=child.started_ns,
        end_ns=child.ended_ns or time.time_ns(),
        arguments=launch.argv if settings.command_args else None,
        task=dict(task),
    )


def _signal_name(number: int | None) -> str:
    if number is None:
        return ""
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no names
        return f"signal {number}"


def _report(
    settings: Settings,
    bridge: Bridge,
    views: Views,
    verdict: Verdict | None,
    speaker: Speaker,
    *,
    launch: Launch,
    child: Child,
) -> int:
    """Print and write what is asked for, and return the exit code of the verdict."""
    stream = None if settings.output is None else open_output(settings.output, say=speaker.say)
    speaker.release(stream)
    shown_on = stream or sys.stderr
    if is_uneventful(bridge.tally):
        speaker.say(_no_calls(launch, child, bridge.tally.calls_reported))
    else:
        if bridge.outlets.shows and shown_on is not None:
            speaker.write(views.render(shown_on, is_file=settings.output not in (None, STDOUT)))
        speaker.write(render_tally(bridge.tally, seconds=_length_ns(child) / 1e9))
    judgement = None if verdict is None else verdict.judgement(bridge.tally, say=speaker.say)
    views.write_files(judgement, say=speaker.say)
    if bridge.outlets.queue is not None:
        result = "delivered" if bridge.tally.spans_delivered else "not delivered"
        trace_id = f"{launch.context.trace_id:032x}"
        link = _trace_link(settings.trace_url, trace_id)
        speaker.say(f"trace {trace_id} {result} to {bridge.outlets.back_end}{link and f': {link}'}")
    if stream is not None:
        with contextlib.suppress(OSError):
            stream.close()
        if speaker.failure:
            name = "stdout" if settings.output == STDOUT else settings.output
            Speaker().say(f"--output: {name}: {speaker.failure}")
    if annotations := views.annotations(judgement):
        Speaker().write(annotations)  # to stderr, as the runner reads no file
    return 0 if judgement is None else judgement.exit_code


def _trace_link(template: str, trace_id: str) -> str:
    if not template:
        return ""
    from csm_otel.report.links import trace_link  # ruff: ignore[import-outside-top-level]

    return trace_link(template, trace_id)


def _no_calls(launch: Launch, child: Child, calls_elsewhere: int) -> str:
    reason = ""
    if not calls_elsewhere:
        with contextlib.suppress(Exception):  # the reason is a guess: without it the line still holds
            from csm_otel.commands.no_calls import likeliest_reason  # ruff: ignore[import-outside-top-level]

            reason = likeliest_reason(launch.argv, os.environ)
    seconds, exit_code = _length_ns(child) / 1e9, child.exit_code or 0
    return render_no_calls(seconds=seconds, exit_code=exit_code, reason=reason, calls_elsewhere=calls_elsewhere)


def _length_ns(child: Child) -> int:
    return (child.ended_ns or time.time_ns()) - child.started_ns
