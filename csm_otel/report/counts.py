"""How many calls, lone attempts and processes a report leaves out, in words: `Counts`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from csm_otel.spans.data import SpanRole
from csm_otel.summary.trace import is_not_sent, is_process

if TYPE_CHECKING:
    from collections.abc import Iterable

    from csm_otel.spans.data import SpanData

# One of them, several of them.
_CALL = "call", "calls"
_ATTEMPT = "attempt without its call", "attempts without their calls"
_PROCESS = "process", "processes"


class Counts:
    """Counts of the lines of traces, each by its own span; what is no call is never counted as one."""

    def __init__(self, spans: Iterable[SpanData] = ()) -> None:
        """Count ``spans``."""
        self._lines: Counter[tuple[str, str]] = Counter()
        self._failed: Counter[tuple[str, str]] = Counter()
        self._not_sent: Counter[tuple[str, str]] = Counter()
        for span in spans:
            self.add(span)

    def __bool__(self) -> bool:
        """Whether anything was counted."""
        return bool(self._lines)

    def add(self, span: SpanData) -> None:
        """Count the span of a line: a call, an attempt whose call is not in the report, or a process."""
        kind = _PROCESS if is_process(span) else _CALL if span.role is SpanRole.CALL else _ATTEMPT
        self._lines[kind] += 1
        self._failed[kind] += span.is_error
        self._not_sent[kind] += is_not_sent(span)

    def nouns(self, adjective: str = "") -> str:
        """Return the counts alone: ``1,788 calls and 1 attempt without its call``."""
        return " and ".join(self._noun(kind, adjective) for kind in self._kinds())

    def text(self, adjective: str = "") -> str:
        """Return the counts, and how many failed: ``2 more calls, 1 of them failed; 1 more process, which failed``."""
        return "; ".join(f"{self._noun(kind, adjective)}, {self._result(kind)}" for kind in self._kinds())

    def _kinds(self) -> list[tuple[str, str]]:
        return [kind for kind in (_CALL, _ATTEMPT, _PROCESS) if self._lines[kind]]

    def _noun(self, kind: tuple[str, str], adjective: str) -> str:
        number = self._lines[kind]
        return " ".join(filter(None, (f"{number:,}", adjective, kind[number > 1])))

    def _result(self, kind: tuple[str, str]) -> str:
        several = self._lines[kind] > 1
        failed, not_sent = self._failed[kind], self._not_sent[kind]
        parts = []
        if failed:
            parts.append(f"{failed:,} of them failed" if several else "which failed")
        if not_sent:
            parts.append(f"{not_sent:,} with NO REQUEST SENT" if several else "with NO REQUEST SENT")
        return ", ".join(parts) or ("none of them failed" if several else "which did not fail")
