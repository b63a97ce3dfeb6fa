"""A summary that ``--summary-json`` has written, read again: `read_summary`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from csm_otel.errors import ReportInputError, reason_of
from csm_otel.summary.model import SCHEMA, Summary

if TYPE_CHECKING:
    import io
    from pathlib import Path

_BEGINNING = re.compile(rb'\s*\{\s*"schema"\s*:')
_PEEKED_BYTES = 64
_MAX_BYTES = 64 * 2**20  # a thousand operations and as many errors take a tenth


class _Schema(msgspec.Struct):
    schema: int


def read_summary(stream: io.BufferedReader, path: Path) -> Summary | None:
    """Return the summary in a file, or None, and nothing is read, if the file is something else.

    ``path`` is for what is said of it.

    Raises:
        ReportInputError: it cannot be read, or is no summary that this version understands.
    """
    try:
        if not _BEGINNING.match(stream.peek(_PEEKED_BYTES)):
            return None
        text = stream.read(_MAX_BYTES)
    except OSError as error:
        raise ReportInputError(f"{path}: {reason_of(error, 'cannot be read')}") from error
    try:
        schema = msgspec.json.decode(text, type=_Schema).schema
        if schema != SCHEMA:
            raise ReportInputError(f"{path}: a summary with schema {schema}; this version reads {SCHEMA}")
        return msgspec.json.decode(text, type=Summary)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:  # the last: nested too deeply
        raise ReportInputError(f"{path}: a damaged summary") from error
