"""The rules of ``--fail-on`` and the baseline, checked while spans come: `Verdict`."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from csm_otel.errors import BaselineError, reason_of
from csm_otel.report.terminal import shown
from csm_otel.report.verdict import render_broken
from csm_otel.summary.trace import exit_code
from csm_otel.verdict.baseline import Baseline, read_baseline
from csm_otel.verdict.judge import Judge
from csm_otel.verdict.judgement import Differences, Judgement
from csm_otel.verdict.rules import Measure, parse_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from csm_otel.config.settings import Settings
    from csm_otel.spans.data import SpanData
    from csm_otel.tally import Tally
    from csm_otel.verdict.baseline import Entry

_MAX_CHARS = 16 * 2**20
_MAX_SHOWN = 20
_MAX_COLUMNS = 120


class Verdict:
    """Collects what the rules and the baseline ask for."""

    def __init__(self, settings: Settings) -> None:
        """Check the rules, which were read before, and compare with the baseline."""
        self._rules = parse_rules(settings.fail_on) if settings.fail_on else ()
        self._judge = Judge(self._rules)
        self._path = settings.baseline
        self._updates = settings.update_baseline
        self._run = Baseline()
        self._command_failed = False

    def add(self, spans: Sequence[SpanData]) -> None:
        """Add a call followed by its attempts, or the span of a command."""
        self._judge.add(spans)
        self._command_failed |= bool(exit_code(spans[0]))
        if self._path is not None:
            self._run.add(spans)

    def judgement(self, tally: Tally | None, *, say: Callable[[str], None]) -> Judgement:
        """Return what the rules and the baseline say, and write the baseline if that is asked for.

        ``say`` is called with a line for each rule that is broken, and for what differs from the baseline. What was
        dropped is in ``tally``; None: that is not known. Only a complete run is written: not one whose command failed,
        or of which datagrams were dropped, or calls seen elsewhere.
        """
        of_the_run = {Measure.DROPPED: 0 if tally is None else _dropped(tally)}
        if tally is None and self._limits(Measure.DROPPED):
            say("--fail-on: dropped is 0, as files do not have it")
        baseline, failure = None, ""
        try:
            baseline = self._compared(self._why_incomplete(tally), say)
        except BaselineError as error:
            failure = shown(str(error), _MAX_COLUMNS)  # it may quote the file
            say(f"--baseline: {f'{self._path}: ' if self._path else ''}{failure}")
        if baseline is not None and not baseline.updated:
            of_the_run |= {Measure.NEW: len(baseline.new), Measure.GONE: len(baseline.gone)}
        broken = self._judge.broken(of_the_run)
        for one in broken:
            say(f"--fail-on: {render_broken(one)}")
        rules = [rule.text for rule in self._rules]
        return Judgement(rules=rules, broken=broken, baseline=baseline, baseline_failure=failure)

    def _limits(self, *measures: Measure) -> bool:
        """Return whether there is a rule on one of these measures."""
        return any(limit.measure in measures for rule in self._rules for limit in rule.limits)

    def _why_incomplete(self, tally: Tally | None) -> str:
        """Return why a whole run may have more calls than were seen, or nothing."""
        if self._command_failed:
            return "the command failed"
        if tally is not None and tally.calls_reported:
            return "a nested csm-otel exec saw the calls"
        return "datagrams were dropped" if tally is not None and _dropped_datagrams(tally) else ""

    def _compared(self, why_incomplete: str, say: Callable[[str], None]) -> Differences | None:
        """Say what differs, and write the file if that is asked for; None: there is none, and no rule needs it.

        Raises:
            BaselineError: the file cannot be read, or written.
        """
        path = self._path
        if path is None:
            if self._updates:
                say("--update-baseline: there is no --baseline to write")
            if self._limits(Measure.NEW, Measure.GONE):
                raise BaselineError("there is none for the rules on new and gone")
            return None
        known = _read(path, may_be_missing=self._updates)
        before = known or Baseline()
        came, went = self._run.came_since(before), before.came_since(self._run)
        for title, entries in (("new", came), ("gone", went)):
            for line in _lines(title, entries):
                say(f"--baseline: {line}")
        if self._updates and (came or went or known is None):
            if why_incomplete:
                raise BaselineError(f"not updated, as {why_incomplete}")
            _write(path, self._run.to_toml())
            say(f"--baseline: {path} updated")
            return Differences(new=came, gone=went, updated=True)
        return Differences(new=came, gone=went)


def _dropped(tally: Tally) -> int:
    """Return how many datagrams and spans were lost."""
    return _dropped_datagrams(tally) + tally.spans_dropped.total() + tally.spans_rejected


def _dropped_datagrams(tally: Tally) -> int:
    return (tally.datagrams_dropped_by_kernel or 0) + tally.datagrams_undecoded


def _lines(title: str, entries: Sequence[Entry]) -> list[str]:
    lines = [f"{title}: {shown(str(entry), _MAX_COLUMNS)}" for entry in entries[:_MAX_SHOWN]]
    if (more := len(entries) - _MAX_SHOWN) > 0:
        lines.append(f"{title}: {more:,} more")
    return lines


def _read(path: Path, *, may_be_missing: bool) -> Baseline | None:
    """Return the baseline in a file, or None if it is missing and may be.

    Raises:
        BaselineError: it cannot be read.
    """
    try:
        # Non-blocking: opening a pipe without a writer would hang.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(descriptor, True)
        with os.fdopen(descriptor, encoding="utf-8-sig") as file:
            return read_baseline(file.read(_MAX_CHARS))
    except OSError as error:
        if may_be_missing and isinstance(error, FileNotFoundError):
            return None
        raise BaselineError(reason_of(error, "cannot be read")) from error
    except UnicodeDecodeError as error:
        raise BaselineError("no baseline: not UTF-8") from error


def _write(path: Path, text: str) -> None:
    """Replace the file at once, so that it is never half written; it has no secrets. A link to it stays one.

    Raises:
        BaselineError: it cannot be written.
    """
    target = Path(os.path.realpath(path))
    part = target.with_name(f".csm-otel.{os.urandom(8).hex()}")  # pids are the same in containers that share a folder
    try:
        part.write_text(text, encoding="utf-8")
        with contextlib.suppress(FileNotFoundError):
            shutil.copymode(target, part)
        part.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):  # a file system that is read-only refuses this, too
            part.unlink()
        raise BaselineError(reason_of(error, "cannot be written")) from error
