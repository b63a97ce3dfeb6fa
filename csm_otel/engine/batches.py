"""Span data to batches, and each batch to where it goes: back end, file, screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.delivery.encoding import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import SpanLimits

    from csm_otel.delivery.queue import DeliveryQueue
    from csm_otel.delivery.sampling import HeadSampler
    from csm_otel.files.filewriter import FileWriter
    from csm_otel.spans.data import SpanData
    from csm_otel.tally import Tally


class Batcher:
    """Collects sampled spans into batches and hands each to every destination there is."""

    def __init__(
        self,
        *,
        sampler: HeadSampler,
        limits: SpanLimits,
        tally: Tally,
        batch_spans: int,
        delay_seconds: float,
        queue: DeliveryQueue | None = None,
        file: FileWriter | None = None,
        show: Callable[[Sequence[SpanData]], None] | None = None,
    ) -> None:
        """Take the destinations; a batch leaves when it holds ``batch_spans`` or is ``delay_seconds`` old."""
        self._sampler = sampler
        self._limits = limits
        self._tally = tally
        self._batch_spans = batch_spans
        self._delay_seconds = delay_seconds
        self._queue = queue
        self._file = file
        self._show = show
        self._batch: list[SpanData] = []
        self._deadline: float | None = None

    def add(self, tree: Sequence[SpanData], *, now: float) -> None:
        """Take the spans of one call (or an orphan, or a command), parents first; ``now`` is monotonic seconds."""
        kept = self._sampler.keep(tree)
        self._take(kept, of=len(tree), now=now)

    def add_root(self, root: SpanData, *, now: float) -> None:
        """Take a root span that the sampler was asked about before its children came."""
        self._take([root] if root.context.sampled else [], of=1, now=now)

    def _take(self, kept: Sequence[SpanData], *, of: int, now: float) -> None:
        self._tally.spans_created += of
        self._tally.spans_unsampled += of - len(kept)
        if not kept:
            return
        self._batch.extend(kept)
        if self._deadline is None:
            self._deadline = now + self._delay_seconds
        if len(self._batch) >= self._batch_spans:
            self.flush()

    def next_deadline(self) -> float | None:
        """Return the monotonic second at which the batch is due, or None while there is none."""
        return self._deadline

    def flush_if_due(self, *, now: float) -> None:
        """Send the batch off if it has waited long enough."""
        if self._deadline is not None and self._deadline <= now:
            self.flush()

    def flush(self) -> None:
        """Send the batch off."""
        batch, self._batch, self._deadline = self._batch, [], None
        if not batch:
            return
        if self._show is not None:
            self._show(batch)
        if self._queue is None and self._file is None:
            self._tally.spans_shown += len(batch)
            return
        for request, spans in self._encoded(batch):
            if self._file is not None:
                self._file.put(request, spans)
            if self._queue is not None:
                self._queue.put(request, spans)

    def _encoded(self, batch: Sequence[SpanData]) -> list[tuple[bytes, int]]:
        """Return the batch as requests, each with its number of spans: one, unless a span in it cannot be encoded.

        Such a one is a defect of ours, but what somebody sent led to it, and it must not cost more than itself.
        """
        try:
            return [(encode(batch, limits=self._limits), len(batch))]
        except Exception:  # ruff: ignore[blind-except] - protobuf raises whatever it likes
            if len(batch) > 1:
                half = len(batch) // 2
                return [*self._encoded(batch[:half]), *self._encoded(batch[half:])]
            self._tally.spans_dropped["unencodable"] += 1
            return []
