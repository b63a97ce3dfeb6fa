"""The figures of a run: `Row`, their table, and their JSON."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_WIDTH = 64


class Row(NamedTuple):
    """A figure, measured several times."""

    section: str
    what: str
    unit: str
    values: Sequence[float]
    ratios: Sequence[float] = ()
    """Each value as a ratio to the baseline's of the same round."""
    baseline: str = ""
    """The row that the ratios refer to."""
    note: str = ""

    @classmethod
    def beside(
        cls, section: str, what: str, unit: str, values: Sequence[float], *, baseline: Self | None, note: str = ""
    ) -> Self:
        """Return a row with its ratios to another; without one it is a baseline."""
        if baseline is None:
            return cls(section, what, unit, values, note=note)
        ratios = [value / beside for value, beside in zip(values, baseline.values, strict=True) if beside]
        return cls(section, what, unit, values, ratios, baseline.what, note)

    @property
    def median(self) -> float:
        """The median of the values."""
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """The median of the ratios."""
        return statistics.median(self.ratios) if self.ratios else None


def heading() -> str:
    """Return the first lines of the table."""
    return f"{'':{_WIDTH}} {'median':>10} {'range':>23} {'ratio':>8} {'range':>15}"


def section_line(name: str, about: str) -> str:
    """Return the line before the rows of a section."""
    return f"\n{name}: {about}"


def line(row: Row) -> str:
    """Return the line of a row."""
    what = f"{row.what}, {row.unit}" if row.unit else row.what
    values = f"{_number(row.median):>10} {_range(row.values):>23}"
    ratio = "" if row.ratio is None else f" {row.ratio:7.2f}x {_range(row.ratios, 'ratio'):>15}"
    note = f"  {row.note}" if row.note else ""
    return f"{what:{_WIDTH}} {values}{ratio}{note}".rstrip()


def as_json(rows: Iterable[Row], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rows and what is known of the run for a JSON document."""
    return {
        **about,
        "rows": [
            {
                "section": row.section,
                "what": row.what,
                "unit": row.unit,
                "median": row.median,
                "values": list(row.values),
                "ratio": row.ratio,
                "ratios": list(row.ratios),
                "baseline": row.baseline,
                "note": row.note,
            }
            for row in rows
        ],
    }


def _range(values: Sequence[float], kind: str = "") -> str:
    low, high = min(values), max(values)
    return f"{low:.2f}-{high:.2f}" if kind else f"{_number(low)}-{_number(high)}"


def _number(value: float) -> str:
    """Return a number with at least three digits that matter."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2  # ruff: ignore[magic-value-comparison]
    return f"{value:,.{digits}f}"
