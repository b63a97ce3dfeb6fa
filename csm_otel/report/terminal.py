"""Text for a terminal: sanitized, truncated to a width, with durations, counts and colour."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from enum import StrEnum
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_NS_PER_MS = 1_000_000
_MS_PER_SECOND = 1000
_CS_PER_MINUTE = 6000  # seconds are shown in hundredths
_SECONDS_PER_HOUR = 3600
_WIDE = frozenset("WF")
_LONGEST_TEXT = 1024  # of a name or message; more than a line shows
# What runners read as their own commands, wherever it is in a line: GitHub's older form, Azure's, TeamCity's.
_RUNNER_COMMAND = re.compile(r"##(?=\w*\[)")
_LEADING_COMMAND = "::"  # GitHub's, at the beginning of a line, behind spaces (actions/runner, ActionCommand.cs)
_WITHOUT_STYLES = ("dumb", "unknown")  # values of TERM
_NOT_FORCED = ("0", "false")


class Style(StrEnum):
    """The styles in use, as SGR parameters (ECMA-48 8.3.117)."""

    PLAIN = ""
    BOLD = "1"
    DIM = "2"
    RED = "31"
    YELLOW = "33"
    LOUD = "1;31"


class Segment(NamedTuple):
    """A piece of a line in one style."""

    text: str
    style: Style = Style.PLAIN


class Terminal(NamedTuple):
    """The properties of the output."""

    width: int
    """Columns; no line is wider."""
    color: bool = False
    ascii_only: bool = False

    def printable(self, text: str) -> str:
        """Return untrusted text as `printable` does; with ``ascii_only`` other characters become ``?``."""
        text = printable(text)
        return text.encode("ascii", "replace").decode("ascii") if self.ascii_only else text

    def cut(self, text: str, columns: int) -> str:
        """Return the printable text truncated to ``columns``, with an ellipsis."""
        return _cut(text, columns, "..." if self.ascii_only else "…")

    def fit(self, text: str, columns: int) -> str:
        """Return the printable text truncated or padded to exactly ``columns``."""
        text = self.cut(text, columns)
        return text + " " * (columns - columns_of(text))

    def line(self, *segments: Segment) -> str:
        """Return the segments as one line, truncated to the width, without trailing spaces.

        It does not begin as a runner's command does, which a sender's text could.
        """
        room = self.width
        parts: list[Segment] = []
        for text, style in _without_command(segments):
            shown = self.cut(text, room)
            parts.append(Segment(shown, style))
            room -= columns_of(shown)
            if shown != text:
                break
        while parts and not parts[-1].text.rstrip():
            parts.pop()
        if parts:
            parts[-1] = parts[-1]._replace(text=parts[-1].text.rstrip())
        return "".join(self._painted(part) for part in parts)

    def wrapped(self, text: str, style: Style = Style.PLAIN, indent: str = "") -> Iterator[str]:
        """Yield a text, made printable, in as many lines as it needs."""
        room = max(self.width - len(indent), 1)
        for line in textwrap.wrap(self.printable(text), room):
            for piece in _pieces(line, room):
                yield self.line(Segment(indent), Segment(piece, style))

    def _painted(self, segment: Segment) -> str:
        text, style = segment
        core = text.strip(" ")
        if not self.color or not style or not core:
            return text
        return text.replace(core, f"\x1b[{style}m{core}\x1b[0m", 1)


def printable(text: str) -> str:
    """Return untrusted text on one line, without anything that a terminal would interpret.

    Whitespace becomes one space, none at the ends. Control and format characters (escape sequences, changes of
    direction) and combining marks are removed. Nor is there anything that a runner of pipelines would interpret, but
    for what `Terminal.line` looks after.
    """
    text = unicodedata.normalize("NFC", text[:_LONGEST_TEXT])
    text = " ".join("".join(filter(_is_shown, text)).split())
    return _RUNNER_COMMAND.sub("## ", text)


def shown(text: str, columns: int) -> str:
    """Return untrusted text as `printable` does, truncated to ``columns`` with an ellipsis."""
    return _cut(printable(text), columns, "…")


def _cut(text: str, columns: int, ellipsis: str) -> str:
    if columns_of(text) <= columns:
        return text
    if columns <= len(ellipsis):
        return ellipsis[: max(columns, 0)]
    return text[: _fitting(text, columns - len(ellipsis))].rstrip() + ellipsis


def _pieces(line: str, columns: int) -> Iterator[str]:
    """Yield a line in pieces that fit: `textwrap` counts letters, of which wide ones have two columns."""
    while columns_of(line) > columns:
        kept = max(_fitting(line, columns), 1)
        yield line[:kept]
        line = line[kept:]
    yield line


def _fitting(text: str, columns: int) -> int:
    """Return how many letters of a printable text fit."""
    return sum(reached <= columns for reached in accumulate(map(columns_of, text)))


def _is_shown(letter: str) -> bool:
    return letter.isspace() or (letter.isprintable() and unicodedata.category(letter)[0] != "M")


def _without_command(segments: Sequence[Segment]) -> Sequence[Segment]:
    if not "".join(text for text, _ in segments).lstrip().startswith(_LEADING_COMMAND):
        return segments
    at = next(at for at, (text, _) in enumerate(segments) if text.strip())
    text = segments[at].text.replace(":", ": ", 1)
    return [*segments[:at], segments[at]._replace(text=text), *segments[at + 1 :]]


def wants_color(environ: Mapping[str, str], *, is_terminal: bool) -> bool:
    """Return whether output is to be coloured, by the variables that most programs agree on; an empty one is unset.

    The first that is set decides: NO_COLOR (no-color.org), FORCE_COLOR (force-color.org; Node.js reads ``0`` as no),
    CLICOLOR_FORCE and CLICOLOR (bixense.com/clicolors), TERM. Otherwise a terminal gets colours.
    """
    if environ.get("NO_COLOR"):
        return False
    if forced := environ.get("FORCE_COLOR"):
        return forced.lower() not in _NOT_FORCED
    if environ.get("CLICOLOR_FORCE", "") not in ("", "0"):
        return True
    if environ.get("CLICOLOR") == "0" or environ.get("TERM", "").lower() in _WITHOUT_STYLES:
        return False
    return is_terminal


def columns_of(text: str) -> int:
    """Return the width of printable text in columns: East Asian wide characters have two."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(letter) in _WIDE else 1 for letter in text)


def duration(nanoseconds: int) -> str:
    """Return a duration for a person: ``3 ms``, ``1.25 s``, ``2 min 3 s``, ``1 h 2 min``."""
    if nanoseconds < 0:
        return f"-{duration(-nanoseconds)}"
    ms = _rounded(nanoseconds, _NS_PER_MS)
    if ms < _MS_PER_SECOND:
        return f"{ms} ms"
    centiseconds = _rounded(ms, 10)
    if centiseconds < _CS_PER_MINUTE:
        return f"{centiseconds // 100}.{centiseconds % 100:02} s"
    seconds = _rounded(ms, _MS_PER_SECOND)
    if seconds < _SECONDS_PER_HOUR:
        return f"{seconds // 60} min {seconds % 60} s"
    minutes = _rounded(seconds, 60)
    return f"{minutes // 60:,} h {minutes % 60} min"


def duration_ms(milliseconds: int) -> str:
    """Return a duration as `duration` does."""
    return duration(milliseconds * _NS_PER_MS)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 call``, ``1,234 calls``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _rounded(value: int, unit: int) -> int:
    return (value + unit // 2) // unit
