"""Encoded requests to the file, in a thread of its own: `FileWriter`.

To word spans as JSON takes its time, and a disk may take any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.files.write_queue import LIMIT_BYTES, WriteQueue

if TYPE_CHECKING:
    from csm_otel.files.otlp_json import OtlpJsonFile
    from csm_otel.tally import Tally


class FileWriter(WriteQueue):
    """What waits for the file: requests, each counted as its spans.

    With a tally every span put ends in one of its counts, ``spans_delivered`` or ``spans_dropped["file"]``, which are
    the writer's to change until `close` has returned. Without one a back end's word counts, and nothing here does.
    """

    def __init__(self, file: OtlpJsonFile, *, tally: Tally | None, limit_bytes: int = LIMIT_BYTES) -> None:
        """Take over the file; ``limit_bytes`` bounds what waits, the request being written included."""
        self._tally = tally
        super().__init__(
            file, name="csm-otel-file", lost=self._count_lost, written=self._count_written, limit_bytes=limit_bytes
        )

    def _count_written(self, spans: int) -> None:
        if self._tally is not None:
            self._tally.spans_delivered += spans

    def _count_lost(self, spans: int) -> None:
        if self._tally is not None:
            self._tally.spans_dropped["file"] += spans
