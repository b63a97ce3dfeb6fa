"""Texts of senders as GitHub-flavoured Markdown, and tables that are cut by rows: `code`, `Table`, `fitted`.

A text is shown as code, where nothing of it is Markdown, HTML, a link, a mention or an emoji, on GitHub as elsewhere
(CommonMark 6.1). Only a pipe would still end a cell of a table, so it stands between two pieces of code.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.report.terminal import counted, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_BACKTICKS = re.compile(r"`+")
_PIPE = "&#124;"
_MAX_COLUMNS = 300


def code(text: str, columns: int = _MAX_COLUMNS) -> str:
    """Return a sender's text as code, printable and cut to ``columns``; empty if there is nothing to show."""
    return _PIPE.join(_piece(piece) if piece else "" for piece in shown(text, columns).split("|"))


def _piece(text: str) -> str:
    """Return a text without pipes as code, between as many backticks as nowhere in it."""
    longest = max(map(len, _BACKTICKS.findall(text)), default=0)
    fence = "`" * (longest + 1)
    # of a text that begins and ends with a space, one at each end is removed, unless it has nothing else
    needs_space = text[0] == "`" or text[-1] == "`" or (text[0] == text[-1] == " " and text.strip())
    return f"{fence} {text} {fence}" if needs_space else f"{fence}{text}{fence}"


class Table(NamedTuple):
    """A heading and the table below it."""

    heading: str
    columns: tuple[str, ...]
    """Those of numbers begin with ``>``."""
    rows: Sequence[tuple[str, ...]]
    """Cells in Markdown."""

    @property
    def head(self) -> str:
        """The lines above the rows."""
        rule = ("--:" if name.startswith(">") else "---" for name in self.columns)
        names = (name.removeprefix(">") for name in self.columns)
        return f"\n#### {self.heading}\n\n{_line(names)}{_line(rule)}"


def fitted(tables: Sequence[Table], room_bytes: int) -> str | None:
    """Return the tables, each with as many of its first rows as there is room for; None if not even their heads fit.

    Small tables are whole, and the others share what is left.
    """
    lines = [[_line(row) for row in table.rows] for table in tables]
    smallest = [_size(table.head + _left_out(len(table.rows))) for table in tables]
    room = room_bytes - sum(smallest)
    if room < 0:
        return None
    wanted = [sum(map(_size, rows)) for rows in lines]
    shares = [0] * len(tables)
    for before, position in enumerate(sorted(range(len(tables)), key=wanted.__getitem__)):
        shares[position] = min(wanted[position], room // (len(tables) - before))
        room -= shares[position]
    return "".join(_cut(table.head, rows, share) for table, rows, share in zip(tables, lines, shares, strict=True))


def _cut(head: str, rows: Sequence[str], room_bytes: int) -> str:
    kept = sum(reached <= room_bytes for reached in accumulate(map(_size, rows)))
    return head + "".join(rows[:kept]) + _left_out(len(rows) - kept)


def _left_out(number: int) -> str:
    return f"\n{counted(number, 'more row')} left out, as there is no room for more.\n" if number else ""


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _size(text: str) -> int:
    return len(text.encode())
