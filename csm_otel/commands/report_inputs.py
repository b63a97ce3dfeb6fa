"""The files of ``csm-otel report``, each read as what it contains: `ReportInputs`."""

from __future__ import annotations

import gzip
from itertools import chain, islice
from typing import TYPE_CHECKING

import msgspec
from google.protobuf.message import DecodeError

from csm_otel.commands.input_lines import InputLines, open_input
from csm_otel.commands.player import Player
from csm_otel.commands.recording_reader import RecordingReader
from csm_otel.delivery.spool_file import MAGIC, spool_copy
from csm_otel.errors import ReportInputError, SpoolError, reason_of
from csm_otel.files.line_file import STDOUT
from csm_otel.files.otlp_json import otlp_json
from csm_otel.process.speaker import Speaker
from csm_otel.report.tally import render_losses
from csm_otel.report.terminal import counted
from csm_otel.summary.grouping import CallGrouping
from csm_otel.summary.otlp import decode_request

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from csm_otel.config.configuration import Configuration
    from csm_otel.process.stop import StopSignal
    from csm_otel.spans.data import SpanData

_MAX_LINE_BYTES = 64 * 2**20  # a collector may put thousands of spans in a line
_MAX_FOREIGN_LINES = 1000  # before the first that can be read; a pipe may have no end
_RECORDED = b'{"line":"'
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_LENGTH_BYTES, _PROTOBUF = (
    4,
    b"\n",
)  # a collector's file exporter writes other formats with the length before each request


class ReportInputs:
    """Reads files one after the other, and passes their spans on."""

    def __init__(
        self,
        configuration: Configuration,
        stop: StopSignal,
        *,
        add: Callable[[Sequence[SpanData]], None],
        say: Callable[[str], None],
    ) -> None:
        """Pass each call with its attempts to ``add``; ``say`` is called with a line about what is lost."""
        self._configuration = configuration
        self._stop = stop
        self._add = add
        self._say = say
        self._grouping = CallGrouping()  # one for all: attempts may be in another file than their call

    def read(self, path: Path) -> None:
        """Read a file, a spool, or stdin (``-``); nothing is raised once a signal has come.

        Raises:
            InputError: it cannot be read.
            ReportInputError: there is nothing in it to report on.
        """
        if path != STDOUT and path.is_dir():
            self._read_spool(path)
            return
        with open_input(path, self._stop) as stream:
            self.read_stream(stream, path)

    def read_stream(self, stream: io.BufferedReader, path: Path) -> None:
        """Read a file that is open, or stdin, as `read` does.

        Raises:
            InputError: it cannot be read any further.
            ReportInputError: there is nothing in it to report on.
        """
        try:
            head = stream.peek(len(MAGIC))
        except OSError as error:
            raise ReportInputError(f"{path}: {reason_of(error, 'cannot be read')}") from error
        if head.startswith(_ZSTD):
            raise ReportInputError(f"{path} is compressed with zstd; decompress it first")
        if head[_LENGTH_BYTES:].startswith((_ZSTD, _PROTOBUF)) and head.startswith(b"\0"):
            raise ReportInputError(f"{path} is not in JSON; have the collector write JSON, without compression")
        if head.startswith(MAGIC):
            self._read_spool(path)
        elif head.startswith(_GZIP):
            self._read_lines(gzip.GzipFile(fileobj=stream), path)
        else:
            self._read_lines(stream, path)

    def close(self) -> None:
        """Pass on what has waited for other spans of its call."""
        for spans in self._grouping.flush():
            self._add(spans)

    def _read_spool(self, path: Path) -> None:
        if path == STDOUT:
            raise ReportInputError("-: a spool; name its folder instead")
        try:
            self._read_copy_of(path)
        except SpoolError as error:
            raise ReportInputError(f"{path}: {error}") from error

    def _read_copy_of(self, spool: Path) -> None:
        read, is_damaged = 0, False
        with spool_copy(spool) as copy:
            for request in copy.requests():
                if self._stop.is_set():
                    return
                try:
                    self._add_request(msgspec.json.encode(otlp_json(request)))
                    read += 1
                except (DecodeError, ReportInputError):
                    is_damaged = True
        if is_damaged or copy.is_damaged:
            if not read:
                raise ReportInputError(f"{spool}: a damaged spool of which nothing can be read")
            self._say(f"{spool}: a damaged spool; what can be read of it is in the report")

    def _read_lines(self, stream: io.BufferedIOBase, path: Path) -> None:
        lines = InputLines(stream, path, self._stop, max_line_bytes=_MAX_LINE_BYTES)
        texts = iter(lines)
        first = _first_of_ours(texts, lines)
        if first is None:
            if self._stop.is_set():
                return
            raise ReportInputError(
                f"{path} is no recording and no spool: {lines.fault}" if lines.skipped else f"{path} is empty"
            )
        if first.startswith(_RECORDED):
            self._play(RecordingReader(lines, chain([first], texts)), lines, path)
        else:
            self._read_requests(chain([first], texts), lines, path)
        if lines.skipped:
            self._say(lines.skipped_text)

    def _play(self, reader: RecordingReader, lines: InputLines, path: Path) -> None:
        heading = reader.next_heading()
        if heading is None and not self._stop.is_set():
            raise ReportInputError(f"{path} is no recording: {lines.fault}")
        while heading is not None and not self._stop.is_set():
            # what the pipeline warns of is among the losses
            player = Player(heading, self._configuration, Speaker(quiet=True), show=lambda _: None, summarise=self._add)
            player.play(reader, self._stop)
            if losses := render_losses(player.tally):
                self._say(f"{path}: {losses}")
            heading = reader.next_heading()

    def _read_requests(self, texts: Iterable[bytes], lines: InputLines, path: Path) -> None:
        ours = foreign = 0
        for text in texts:
            try:
                ours_of_it, foreign_of_it = self._add_request(text)
            except ReportInputError as error:
                lines.skip(str(error))
            else:
                ours, foreign = ours + ours_of_it, foreign + foreign_of_it
        if not ours and not self._stop.is_set():
            raise ReportInputError(f"{path}: {counted(foreign, 'span')}, none of csm-otel's")

    def _add_request(self, text: bytes) -> tuple[int, int]:
        """Add the spans of a request, and return how many were ours, and how many of others."""
        request = decode_request(text)
        for spans in self._grouping.add(request.spans):
            self._add(spans)
        return len(request.spans), request.foreign


def _first_of_ours(texts: Iterator[bytes], lines: InputLines) -> bytes | None:
    """Return the first line that identifies the kind of file; those before it are skipped."""
    for text in islice(texts, _MAX_FOREIGN_LINES):
        if text.startswith(_RECORDED):
            return text
        try:
            decode_request(text)
        except ReportInputError as error:
            lines.skip(str(error))
        else:
            return text
    return None
