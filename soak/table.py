"""The results of a scenario: `Row`, and their table."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Row(NamedTuple):
    """One promise, and the measurement."""

    what: str
    bar: str
    measured: str
    is_held: bool | None
    """None: it cannot be measured on this machine, and ``measured`` says why."""

    @property
    def verdict(self) -> str:
        """The last column."""
        return "skipped" if self.is_held is None else "held" if self.is_held else "MISSED"


def heading() -> str:
    """Return the first lines of the table, as Markdown."""
    return "| what | bar | measured | |\n|---|---|---|---|"


def rendered(rows: Iterable[Row]) -> str:
    """Return lines of the table."""
    return "\n".join(f"| {row.what} | {row.bar} | {row.measured} | {row.verdict} |" for row in rows)


def missed(rows: Iterable[Row]) -> str:
    """Return the rows whose bar was missed; "" if none was."""
    return rendered(row for row in rows if row.is_held is False)
