"""Encoded requests to the file of `--file`, in a separate thread: `FileWriter`.

Encoding spans as JSON is slow, and a disk may be.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from csm_otel.files.backlog import LIMIT_BYTES
from csm_otel.files.write_queue import WriteQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from csm_otel.files.otlp_json import OtlpJsonFile
    from csm_otel.tally import Tally


class FileWriter(WriteQueue):
    """A queue of requests, each counted as its spans.

    With a tally every span put ends in one of its counts, ``spans_delivered`` or ``spans_dropped["file"]``, which are
    the writer's to change until `close` has returned. Without one nothing is counted: the back end's answer is.
    """

    def __init__(
        self,
        file: OtlpJsonFile,
        *,
        tally: Tally | None,
        limit_bytes: int = LIMIT_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Own the file from now on; ``limit_bytes`` bounds the queue, including the request being written."""
        self._tally = tally
        self.waits_for_reader = file.waits_for_reader
        """Whether it is a pipe whose reader may take any time."""
        super().__init__(
            file,
            name="csm-otel-file",
            on_dropped=self._count_dropped,
            on_written=self._count_written,
            limit_bytes=limit_bytes,
            clock=clock,
        )

    def _count_written(self, spans: int) -> None:
        if self._tally is not None:
            self._tally.spans_delivered += spans

    def _count_dropped(self, spans: int) -> None:
        if self._tally is not None:
            self._tally.spans_dropped["file"] += spans
