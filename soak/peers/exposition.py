"""A program's own counts as Prometheus scrapes them: `Exposition`."""

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
            ValueError: a line is none of it.
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
        """Get it from a port of 127.0.0.1."""
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=_SECONDS) as answer:
            return cls(answer.read().decode())

    def total(self, *names: str) -> int:
        """Return the sum of some counters over all their labels; one that was never counted is 0."""
        return int(sum(self._totals.get(name.removesuffix("_total"), 0.0) for name in names))
