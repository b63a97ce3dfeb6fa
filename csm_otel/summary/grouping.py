"""Spans in any order to calls, each followed by its attempts: `CallGrouping`.

csm-otel writes them so, but what has been through a collector may be in another order, or in several files. Calls are
in the order of their ends, as when they were received.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from csm_otel.spans.data import SpanRole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from csm_otel.spans.data import SpanData

_WINDOW_SPANS = 10_000  # more than a collector's batch has


class CallGrouping:
    """Keeps the latest spans until their others have come, or cannot be expected any more.

    No span is lost: an attempt whose call does not come within the window is an orphan.
    """

    def __init__(self, *, window_spans: int = _WINDOW_SPANS) -> None:
        """Find the call of an attempt, where it is not more than ``window_spans`` before it or behind it."""
        self._window_spans = window_spans
        self._older: list[SpanData] = []
        """Those of the window before, and attempts before it whose calls are in it."""
        self._newer: list[SpanData] = []

    def add(self, spans: Iterable[SpanData]) -> Iterator[list[SpanData]]:
        """Add spans, and yield those that need not wait any more: a call with its attempts, or any other alone."""
        for span in spans:
            self._newer.append(span)
            if len(self._newer) >= self._window_spans:
                yield from self._groups()

    def flush(self) -> Iterator[list[SpanData]]:
        """Yield all that is left, in the same way."""
        self._older += self._newer
        self._newer.clear()
        yield from self._groups()

    def _groups(self) -> Iterator[list[SpanData]]:
        """Yield the older spans, calls with all of their attempts; what is left is older from now on."""
        spans, count = [*self._older, *self._newer], len(self._older)
        owners: dict[tuple[int, int], int] = {}
        for index, span in enumerate(spans):
            if span.role is SpanRole.CALL:
                owners.setdefault((span.context.trace_id, span.context.span_id), index)
        groups: dict[int, list[SpanData]] = {}
        attempts: list[tuple[int, SpanData]] = []
        self._older, self._newer = [], []
        for index, span in enumerate(spans):
            owner = _owner(span, owners)
            if (index if owner is None else owner) >= count:
                self._older.append(span)
            elif owner is None:
                groups[index] = [_as_orphan(span) if span.role is SpanRole.ATTEMPT else span]
            else:
                attempts.append((owner, span))
        for owner, attempt in sorted(attempts, key=lambda pair: _position(pair[1])):
            groups[owner].append(attempt)
        yield from sorted(groups.values(), key=lambda group: _position(group[0]))


def _owner(span: SpanData, owners: dict[tuple[int, int], int]) -> int | None:
    """Return where the call of an attempt is, None where there is none, or the span is no attempt."""
    if span.role is not SpanRole.ATTEMPT or span.parent is None:
        return None
    return owners.get((span.parent.trace_id, span.parent.span_id))


def _as_orphan(attempt: SpanData) -> SpanData:
    return msgspec.structs.replace(attempt, shape=msgspec.structs.replace(attempt.shape, role=SpanRole.ORPHAN))


def _position(span: SpanData) -> tuple[int, int, int]:
    return span.end_ns, span.start_ns, span.context.span_id
