"""``csm-otel report``: what the spans of files say of a run, printed and written. Nothing is sent anywhere."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING

from csm_otel.commands.input_lines import open_input
from csm_otel.commands.output import open_output
from csm_otel.commands.report_inputs import ReportInputs
from csm_otel.commands.summary_input import read_summary
from csm_otel.commands.verdict import Verdict
from csm_otel.commands.views import Views
from csm_otel.errors import InputError, reason_of
from csm_otel.files.line_file import STDOUT
from csm_otel.process.stop import StopSignal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from csm_otel.config.configuration import Configuration
    from csm_otel.config.settings import Settings
    from csm_otel.process.speaker import Speaker
    from csm_otel.spans.data import SpanData
    from csm_otel.summary.model import Summary

_SIGNAL_EXIT = 128


def report(paths: Sequence[Path], configuration: Configuration, speaker: Speaker) -> int:
    """Report on files (``-``: stdin) as on one run, and return the exit code.

    It is 1 if one of the files cannot be read, or a file cannot be written; each of them has a line. Else it is that of
    a rule that is broken. Signal n ends it with 128+n, and without a report.
    """
    stop = StopSignal(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    settings = configuration.settings
    views = Views(settings)
    is_judged = settings.fail_on or settings.baseline is not None or settings.update_baseline
    verdict = Verdict(settings) if is_judged else None
    observers = [views.show, views.summarise, *([verdict.add] if verdict else [])]
    bad = _read(paths, configuration, stop, observers, say=speaker.say)
    is_complete = not bad
    if settings.compare is not None:
        views.before = _other(settings.compare, configuration, stop, say=speaker.say)
        is_complete &= views.before is not None
    if stop.is_set():
        return _SIGNAL_EXIT + stop.number
    code = 0
    if bad < len(paths):
        is_complete &= _print(views, settings, say=speaker.say)
        judgement = verdict.judgement(None, say=speaker.say) if verdict else None
        is_complete &= views.write_files(judgement, say=speaker.say)
        speaker.write(views.annotations(judgement))
        code = judgement.exit_code if judgement else 0
    if stop.is_set():
        return _SIGNAL_EXIT + stop.number
    return code if is_complete else 1


def _read(
    paths: Sequence[Path],
    configuration: Configuration,
    stop: StopSignal,
    observers: Sequence[Callable[[Sequence[SpanData]], None]],
    *,
    say: Callable[[str], None],
) -> int:
    """Read files, and return how many of them cannot be read; ``say`` is called with a line for each."""

    def add(spans: Sequence[SpanData]) -> None:
        for observe in observers:
            observe(spans)

    inputs = ReportInputs(configuration, stop, add=add, say=say)
    bad = 0
    for path in paths:
        try:
            inputs.read(path)
        except InputError as error:
            say(str(error))
            bad += 1
    inputs.close()
    return bad


def _other(path: Path, configuration: Configuration, stop: StopSignal, *, say: Callable[[str], None]) -> Summary | None:
    """Return the summary of the run to compare with, or None if it cannot be read."""
    views = Views(configuration.settings)
    inputs = ReportInputs(configuration, stop, add=views.summarise, say=say)
    try:
        summary = _summary_or_spans(path, inputs, stop)
    except InputError as error:
        say(f"--compare: {error}")
        return None
    inputs.close()
    return summary or views.summary()


def _summary_or_spans(path: Path, inputs: ReportInputs, stop: StopSignal) -> Summary | None:
    """Return the summary in a file, or None if it is read by ``inputs``.

    Raises:
        InputError: it cannot be read.
    """
    if path != STDOUT and path.is_dir():
        inputs.read(path)
        return None
    with open_input(path, stop) as stream:
        summary = read_summary(stream, path)
        if summary is None:
            inputs.read_stream(stream, path)  # not opened again: a pipe would have lost its beginning
        return summary


def _print(views: Views, settings: Settings, *, say: Callable[[str], None]) -> bool:
    """Print the run, and return whether it could be; that its reader has closed the pipe is no failure.

    ``say`` is called with a line if it cannot be printed.
    """
    path = settings.output or STDOUT
    stream = open_output(path, say=say)
    if stream is None:
        return False
    try:
        stream.write(views.render(stream, is_file=path != STDOUT) or "no AWS calls seen\n")
        stream.flush()
    except BrokenPipeError:
        return True
    except OSError as error:
        say(f"--output: {'stdout' if path == STDOUT else path}: {reason_of(error, 'cannot be written')}")
        return False
    finally:
        with contextlib.suppress(OSError):
            stream.close()
    return True
