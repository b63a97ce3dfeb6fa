"""A program's own counts in the Prometheus text format: `Exposition`."""

from __future__ import annotations

import re
import urllib.request
from collections import defaultdict
from typing import Self

_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{.*\})?\s+(?P<value>\S+)(?:\s+-?\d+)?")
_SECONDS = 10.0


class Exposition:
    """The counts at one moment."""

    def __init__(self, text: str) -> None:
        """Read the text format.

        Raises:
            ValueError: a line is not in the format.
        """
        self._totals: dict[str, float] = defaultdict(float)
        for line in text.splitlines():
            if not line or line.startswith("#"):
                continue
            found = _SAMPLE.fullmatch(line)
            if found is None:
                raise ValueError(f"no sample: {line!r}")
            self._totals[found["name"].removesuffix("_total")] += float(found["value"])

    @classmethod
    def scrape(cls, port: int) -> Self:
        """Scrape a port of 127.0.0.1."""
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=_SECONDS) as answer:
            return cls(answer.read().decode())

    def total(self, *names: str) -> int:
        """Return the sum of some counters over all their labels; a missing one counts as 0."""
        return int(sum(self._totals.get(name.removesuffix("_total"), 0.0) for name in names))
