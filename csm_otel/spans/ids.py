"""Trace and span ids: where they come from (`IdGenerator`), and ids that follow from a seed (`SeededIds`)."""

from __future__ import annotations

import random
from typing import Protocol

_TRACE_ID_BITS, _SPAN_ID_BITS = 128, 64


class IdGenerator(Protocol):
    """Where ids come from: random when live, seeded when replayed."""

    def generate_trace_id(self) -> int:
        """Return a new 128-bit trace id."""

    def generate_span_id(self) -> int:
        """Return a new 64-bit span id."""


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
