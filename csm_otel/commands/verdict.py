"""The rules of ``--fail-on`` and the baseline, checked while spans come: `Verdict`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from csm_otel.errors import BaselineError, reason_of
from csm_otel.report.terminal import Terminal
from csm_otel.report.verdict import render_broken
from csm_otel.verdict.baseline import Baseline, read_baseline
from csm_otel.verdict.judge import Judge
from csm_otel.verdict.judgement import Differences, Judgement
from csm_otel.verdict.rules import Measure, parse_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from csm_otel.config.settings import Settings
    from csm_otel.spans.data import SpanData
    from csm_otel.tally import Tally
    from csm_otel.verdict.baseline import Entry

_MAX_BYTES = 16 * 2**20
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

    def add(self, spans: Sequence[SpanData]) -> None:
        """Add a call followed by its attempts."""
        self._judge.add(spans)
        if self._path is not None:
            self._run.add(spans)

    def judgement(self, tally: Tally | None, *, say: Callable[[str], None]) -> Judgement:
        """Return what the rules and the baseline say, and write the baseline if that is asked for.

        ``say`` is called with a line for each rule that is broken, and for what differs from the baseline. What was
        dropped is in ``tally``.
        """
        of_the_run = {}
        if tally is not None:
            dropped = (tally.datagrams_dropped_by_kernel or 0) + tally.spans_dropped.total()
            of_the_run[Measure.DROPPED] = dropped
        baseline, failure = None, ""
        if self._path is not None:
            try:
                baseline = self._compared(self._path, say)
            except BaselineError as error:
                failure = str(error)
                say(f"--baseline: {self._path}: {failure}")
        if baseline is not None and not baseline.updated:
            of_the_run |= {Measure.NEW: len(baseline.new), Measure.GONE: len(baseline.gone)}
        broken = self._judge.broken(of_the_run)
        for one in broken:
            say(f"--fail-on: {render_broken(one)}")
        rules = [rule.text for rule in self._rules]
        return Judgement(rules=rules, broken=broken, baseline=baseline, baseline_failure=failure)

    def _compared(self, path: Path, say: Callable[[str], None]) -> Differences:
        """Say what differs, and write the file if that is asked for.

        Raises:
            BaselineError: the file cannot be read, or written.
        """
        before = Baseline() if self._updates and not path.exists() else _read(path)
        came, went = self._run.came_since(before), before.came_since(self._run)
        for title, entries in (("new", came), ("gone", went)):
            for line in _lines(title, entries):
                say(f"--baseline: {line}")
        if self._updates and (came or went or not path.exists()):
            _write(path, self._run.to_toml())
            say(f"--baseline: {path} updated")
            return Differences(new=came, gone=went, updated=True)
        return Differences(new=came, gone=went)


def _lines(title: str, entries: Sequence[Entry]) -> list[str]:
    terminal = Terminal(_MAX_COLUMNS)
    lines = [f"{title}: {terminal.cut(terminal.printable(str(entry)), _MAX_COLUMNS)}" for entry in entries[:_MAX_SHOWN]]
    if (more := len(entries) - _MAX_SHOWN) > 0:
        lines.append(f"{title}: {more:,} more")
    return lines


def _read(path: Path) -> Baseline:
    """Return the baseline in a file.

    Raises:
        BaselineError: it cannot be read.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return read_baseline(file.read(_MAX_BYTES))
    except OSError as error:
        raise BaselineError(reason_of(error, "cannot be read")) from error
    except UnicodeDecodeError as error:
        raise BaselineError("no baseline: not UTF-8") from error


def _write(path: Path, text: str) -> None:
    """Replace the file at once, so that it is never half written; it has no secrets.

    Raises:
        BaselineError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise BaselineError(reason_of(error, "cannot be written")) from error
