"""What a command is expected to ask of AWS: `Baseline`, as TOML for a repository, and what came and went since.

An entry is a service, an API, a region and an error; a call that went well has no error. Each is a line of its own, in
order, so that two changes can be merged.
"""

from __future__ import annotations

import tomllib
from itertools import starmap
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from opentelemetry.semconv._incubating.attributes.cloud_attributes import CLOUD_REGION
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE

from csm_otel.errors import BaselineError
from csm_otel.summary.json_text import json_bytes
from csm_otel.summary.trace import is_call_or_orphan, operation_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from csm_otel.spans.data import SpanData

SCHEMA = 1
MAX_ENTRIES = 10_000
"""More are not kept of a run, nor read."""
_HEAD = """\
# What this command is expected to ask of AWS: service, API, region, error.
# csm-otel exec --baseline FILE --update-baseline -- COMMAND writes it anew.
"""


class Entry(NamedTuple):
    """A kind of call."""

    service: str
    api: str
    region: str
    error: str

    def __str__(self) -> str:
        """Return it in words: ``S3.GetObject us-east-1 AccessDenied``."""
        return " ".join(filter(None, (f"{self.service}.{self.api}", self.region, self.error)))


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    schema: int
    calls: list[tuple[str, str, str, str]]


class Baseline:
    """The entries of a run, as it goes."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        """Begin with some entries."""
        self._entries = set(entries)

    @property
    def entries(self) -> list[Entry]:
        """The entries, in order."""
        return sorted(self._entries)

    def add(self, spans: Sequence[SpanData]) -> None:
        """Add a call followed by its attempts; the span of a command or process is no call."""
        span = spans[0]
        if not is_call_or_orphan(span) or len(self._entries) >= MAX_ENTRIES:
            return
        region, error = span.attribute(CLOUD_REGION), span.attribute(ERROR_TYPE)
        self._entries.add(Entry(*operation_of(span), str(region or ""), str(error or "")))

    def came_since(self, before: Baseline) -> list[Entry]:
        """Return the entries that another does not have."""
        return sorted(self._entries - before._entries)

    def to_toml(self) -> str:
        """Return the text of the file."""
        # JSON's strings are TOML's, but for this one character
        encoded = (json_bytes(entry).decode().replace("\x7f", "\\u007f") for entry in self.entries)
        lines = (f"    {entry}," for entry in encoded)
        return "\n".join([f"{_HEAD}schema = {SCHEMA}", "calls = [", *lines, "]", ""])


def read_baseline(text: str) -> Baseline:
    """Return what a file has.

    Raises:
        BaselineError: it cannot be read; the text is one line.
    """
    try:
        document = msgspec.convert(tomllib.loads(text), _Document)
    except (ValueError, RecursionError) as error:  # of both libraries, and of a number that is too long
        raise BaselineError(f"no baseline: {str(error).partition(chr(10))[0]}") from error
    if document.schema != SCHEMA:
        raise BaselineError(f"a baseline with schema {document.schema}; this version reads {SCHEMA}")
    if len(document.calls) > MAX_ENTRIES:
        raise BaselineError(f"more than {MAX_ENTRIES:,} entries")
    return Baseline(starmap(Entry, document.calls))
