"""Trace and span ids that can be had again: `SeededIds`."""

from __future__ import annotations

import random

_TRACE_ID_BITS, _SPAN_ID_BITS = 128, 64


class SeededIds:
    """Ids that follow from a seed: a recording that is replayed gives the same ones each time."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # ruff: ignore[suspicious-non-cryptographic-random-usage] - no secret

    def generate_trace_id(self) -> int:
        """Return the next trace id: 128 bits, not zero."""
        return self._next(_TRACE_ID_BITS)

    def generate_span_id(self) -> int:
        """Return the next span id: 64 bits, not zero."""
        return self._next(_SPAN_ID_BITS)

    def _next(self, bits: int) -> int:
        while not (value := self._random.getrandbits(bits)):
            continue  # zero is no id
        return value
