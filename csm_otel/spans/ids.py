"""Trace and span ids: random ones (`RandomIds`), and the same ones each time for a seed (`SeededIds`)."""

from __future__ import annotations

import random
from typing import Protocol

_TRACE_ID_BITS, _SPAN_ID_BITS = 128, 64


class IdGenerator(Protocol):
    """A source of ids: random when live, seeded when replayed."""

    def generate_trace_id(self) -> int:
        """Return a new trace id: 128 bits, not zero."""

    def generate_span_id(self) -> int:
        """Return a new span id: 64 bits, not zero."""


class RandomIds:
    """Random ids, from Python's shared generator: unique in threads and forked processes, and not secret."""

    def generate_trace_id(self) -> int:
        """Return a random trace id: 128 bits, not zero."""
        return random.getrandbits(_TRACE_ID_BITS) or self.generate_trace_id()

    def generate_span_id(self) -> int:
        """Return a random span id: 64 bits, not zero."""
        return random.getrandbits(_SPAN_ID_BITS) or self.generate_span_id()


class SeededIds:
    """Ids that follow from a seed, so that the same recording always gives the same ids."""

    def __init__(self, seed: int) -> None:
        """Begin the sequence of ``seed``."""
        self._random = random.Random(seed)  # ruff: ignore[suspicious-non-cryptographic-random-usage] - no secret

    def generate_trace_id(self) -> int:
        """Return the next trace id: 128 bits, not zero."""
        return self._random.getrandbits(_TRACE_ID_BITS) or self.generate_trace_id()

    def generate_span_id(self) -> int:
        """Return the next span id: 64 bits, not zero."""
        return self._random.getrandbits(_SPAN_ID_BITS) or self.generate_span_id()
