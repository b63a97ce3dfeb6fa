"""Recorded datagrams of real SDKs, and the core's results for them.

Two kinds. *Captures* name the scenario of each datagram. *Truth recordings* name the API call that each datagram
belongs to, which no datagram says.
"""

from __future__ import annotations

from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from conformance.packed import SUFFIX, Recorded, read

from csm_otel.correlation.correlator import Correlator
from csm_otel.csm.decoding import decode
from csm_otel.errors import MalformedDatagramError
from csm_otel.spans.mapper import SpanMapper

if TYPE_CHECKING:
    from collections.abc import Iterable

    from csm_otel.correlation.released import Released
    from csm_otel.csm.events import Event
    from csm_otel.spans.data import SpanData

_CAPTURED = Path(__file__).parent / "captured"
_NS_PER_SECOND = 1_000_000_000

CAPTURES = (
    "aiobotocore-3.10.0", "aws-sdk-go-1.55.6", "aws-sdk-js-2.1693.0", "aws-sdk-php-3.376.2",
    "aws-sdk-ruby-core-3.211.0", "botocore-1.44.5",
)  # fmt: skip
TRUTHS = (
    "aio_conc8", "awscli1", "boto3_1_26_legacy_t16_flt", "boto3_1_26_standard_t8_flt",
    "boto3_deb_1_26_legacy_t8_flt", "boto3_errors", "boto3_fork_after_send", "boto3_mp4", "boto3_mt32_client_flt",
    "boto3_mt8_5of9_flt", "boto3_mt8_client", "boto3_pagwait", "boto3_py27_1_9_80_t8_flt",
    "boto3_py37_1_9_253_t16_flt", "boto3_redirect", "boto3_retries_standard", "cpp_errors", "cpp_mt8",
    "go_conc32_fast_flt", "go_conc32_flt", "go_conc8", "go_conc8_sessions_flt", "go_errors", "gt_legacy", "gt_t2",
    "gt_t8", "java_errors", "java_mt8", "js_conc32_flt", "js_conc32_host_flt", "js_conc8", "js_errors", "js_retries",
    "php_conc8", "php_errors", "ruby_errors", "ruby_mt8_client", "ruby_mt8_redirects_flt", "ruby_mt8_region_flt",
    "ruby_redirects_flt",
)  # fmt: skip
EVERYTHING = (*CAPTURES, *TRUTHS)


class Played(NamedTuple):
    """What the correlator released for a recording."""

    released: list[Released]
    events: list[tuple[Event, int]]
    """Every event with the index of its datagram."""
    rejected: list[tuple[int, str]]
    """Index and reason of every malformed datagram."""

    def index_of(self) -> dict[int, int]:
        """Return the index of the datagram by the identity of its event: equal events occur."""
        return {id(event): index for event, index in self.events}


class CountingIds:
    """Ids that are predictable and never repeat."""

    def __init__(self) -> None:
        self._trace_ids, self._span_ids = count(1), count(1)

    def generate_trace_id(self) -> int:
        """Return the next trace id."""
        return next(self._trace_ids)

    def generate_span_id(self) -> int:
        """Return the next span id."""
        return next(self._span_ids)


@cache
def recording(name: str) -> list[Recorded]:
    """Return a capture or a truth recording; it is read once, and all callers share the list."""
    folder = _CAPTURED if name in CAPTURES else _CAPTURED / "truth"
    return read(folder / f"{name}{SUFFIX}")


def play(recorded: Iterable[Recorded], correlator: Correlator | None = None) -> Played:
    """Feed datagrams to a correlator, by default a new one, at the times of their receipt, then flush it."""
    correlator = correlator or Correlator()
    result = Played([], [], [])
    for index, datagram in enumerate(recorded):
        now = datagram.received_ns / _NS_PER_SECOND
        result.released.extend(correlator.expire(now=now))
        try:
            events = decode(datagram.payload).events
        except MalformedDatagramError as error:
            result.rejected.append((index, error.reason))
            continue
        for event in events:
            result.events.append((event, index))
            result.released.extend(
                correlator.receive(event, peer=datagram.peer, received_ns=datagram.received_ns, now=now)
            )
    result.released.extend(correlator.flush())
    return result


@cache
def played(name: str) -> Played:
    """Return the releases of a recording; it is played once, and all callers share them."""
    return play(recording(name))


@cache
def trees(name: str) -> list[list[SpanData]]:
    """Return the spans of a recording, as by `trees_of`; they are mapped once."""
    return trees_of(played(name))


def trees_of(given: Played) -> list[list[SpanData]]:
    """Return the spans of all releases, a list for each call and each orphan."""
    mapper = SpanMapper(ids=CountingIds(), resource={})
    return [mapper.map(released) for released in given.released]
