"""Span data to batches, and each batch to its destinations: `Batcher`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from csm_otel.delivery.queue import DeliveryQueue
    from csm_otel.delivery.sampling import HeadSampler
    from csm_otel.files.filewriter import FileWriter
    from csm_otel.spans.data import SpanData
    from csm_otel.tally import Tally


class Batcher:
    """Collects sampled spans into batches, and sends each to the back end, the file and the screen."""

    def __init__(
        self,
        *,
        sampler: HeadSampler,
        encode: Callable[[Sequence[SpanData]], bytes],
        tally: Tally,
        batch_spans: int,
        delay_seconds: float,
        queue: DeliveryQueue | None = None,
        file: FileWriter | None = None,
        show: Callable[[Sequence[SpanData]], None] | None = None,
        observers: Sequence[Callable[[Sequence[SpanData]], None]] = (),
    ) -> None:
        """Send a batch off when it holds ``batch_spans`` or is ``delay_seconds`` old.

        ``encode`` returns spans as a request. Each of ``observers`` receives all spans, sampled or not.
        Without ``queue`` and ``file`` spans count as shown, whether there is a ``show`` or not.
        """
        self._sampler = sampler
        self._encode = encode
        self._tally = tally
        self._batch_spans = batch_spans
        self._delay_seconds = delay_seconds
        self._queue = queue
        self._file = file
        self._show = show
        self._observers = observers
        self._batch: list[SpanData] = []
        self._deadline: float | None = None

    def add(self, tree: Sequence[SpanData], *, now: float) -> Sequence[SpanData]:
        """Add the spans of one call (or an orphan, or a command), parents first, and return the sampled ones.

        ``now`` is monotonic seconds.
        """
        for observe in self._observers:
            observe(tree)
        sampled = self._sampler.keep(tree)
        self._append(sampled, of=len(tree), now=now)
        return sampled

    def add_root(self, root: SpanData, *, now: float) -> None:
        """Add a root span that was sampled, or not, before its children."""
        for observe in self._observers:
            observe([root])
        self._append([root] if root.context.sampled else [], of=1, now=now)

    def _append(self, kept: Sequence[SpanData], *, of: int, now: float) -> None:
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
        """Return the monotonic second at which the batch is due, or None if it is empty."""
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
        """Return the batch as requests, each with its number of spans: one, unless a span cannot be encoded.

        That is a defect of ours, but it takes one datagram to trigger it, which must not cost other spans.
        """
        try:
            return [(self._encode(batch), len(batch))]
        except Exception:  # ruff: ignore[blind-except] - protobuf raises anything
            if len(batch) > 1:
                half = len(batch) // 2
                return [*self._encoded(batch[:half]), *self._encoded(batch[half:])]
            self._tally.spans_dropped["unencodable"] += 1
            return []
