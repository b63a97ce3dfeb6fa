"""The recordings of a file, one after the other: `RecordingReader`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.errors import RecordingError
from csm_otel.files.recording import (
    Heading,
    Line,
    RecordedCommand,
    RecordedDatagram,
    RecordedDeparture,
    RecordedDrops,
    RecordedEnd,
    RecordedOrigin,
    decode_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from csm_otel.commands.input_lines import InputLines

Body = RecordedDatagram | RecordedOrigin | RecordedEnd | RecordedDeparture | RecordedDrops | RecordedCommand


class RecordingReader:
    """The decoded lines of a file; those that are not of a recording are counted and skipped."""

    def __init__(self, lines: InputLines, texts: Iterable[bytes] | None = None) -> None:
        """Decode ``lines``, or ``texts``, which are what is left of them; count what cannot be decoded in ``lines``."""
        self._input = lines
        self._lines = self._decoded(lines if texts is None else texts)
        self._heading: Heading | None = None

    def next_heading(self) -> Heading | None:
        """Return the next recording's heading, or None at the end of the file; what precedes it is skipped."""
        heading, self._heading = self._heading, None
        if heading is not None:
            return heading
        for line in self._lines:
            if isinstance(line, Heading):
                return line
            self._input.skip(self._input.fault or "it does not begin with a recording's first line")
        return None

    def lines(self) -> Iterator[Body]:
        """Yield what follows the heading, up to the next one."""
        for line in self._lines:
            if isinstance(line, Heading):
                self._heading = line
                return
            yield line

    def _decoded(self, texts: Iterable[bytes]) -> Iterator[Line]:
        for text in texts:
            try:
                line = decode_line(text)
            except RecordingError as error:
                self._input.skip(str(error))
            else:
                yield line
