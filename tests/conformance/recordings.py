"""Datagrams that the real SDKs sent, and what the core makes of them.

Two kinds. *Captures* name the scenario of each datagram. *Truth recordings* name the API call that each datagram
belongs to, which no datagram says; the big ones are not part of the project and are read where `shared_dir` finds them.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from csm_otel.correlation.correlator import Correlator
from csm_otel.csm.decoding import decode
from csm_otel.csm.events import Peer
from csm_otel.errors import MalformedDatagramError
from csm_otel.spans.mapper import SpanMapper

if TYPE_CHECKING:
    from collections.abc import Iterable

    from csm_otel.correlation.released import Released
    from csm_otel.csm.events import Event
    from csm_otel.spans.data import SpanData

_HERE = Path(__file__).parent
_CAPTURED = _HERE / "captured"
_NS_PER_MS = 1_000_000
_NS_PER_SECOND = 1_000_000_000

CAPTURES = (
    "aiobotocore-3.10.0", "aws-sdk-go-1.55.6", "aws-sdk-js-2.1693.0", "aws-sdk-php-3.376.2",
    "aws-sdk-ruby-core-3.211.0", "botocore-1.44.5",
)  # fmt: skip
TRUTHS = (
    "aio_conc8", "awscli1", "boto3_errors", "boto3_fork_after_send", "boto3_mp4", "boto3_mt32_client_flt",
    "boto3_mt8_client", "boto3_pagwait", "boto3_redirect", "boto3_retries_standard", "cpp_errors", "cpp_mt8",
    "go_conc8", "go_conc8_sessions_flt", "go_errors", "gt_legacy", "gt_t2", "gt_t8", "java_errors", "java_mt8",
    "js_conc8", "js_errors", "js_retries", "php_conc8", "php_errors", "ruby_errors", "ruby_mt8_client",
)  # fmt: skip
EVERYTHING = (*CAPTURES, *TRUTHS)


class Recorded(NamedTuple):
    """One datagram as it was received."""

    payload: bytes
    peer: Peer
    received_ns: int
    """Epoch nanoseconds."""
    label: str
    """The scenario in a capture, the id of the API call in a truth recording."""


class Played(NamedTuple):
    """What the correlator released for a recording."""

    released: list[Released]
    events: list[tuple[Event, int]]
    """Every event with the index of its datagram."""
    rejected: list[tuple[int, str]]
    """Index and reason of every datagram that is no event."""

    def index_of(self) -> dict[int, int]:
        """Return the index of the datagram by the identity of its event: equal events are no rarity."""
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


def shared_dir() -> Path:
    """Return the folder of the case files that are not part of the project; skip the test where there is none."""
    sibling = _HERE.parents[1].parent / "shared" / "conformance"
    folder = Path(os.environ.get("CSM_CONFORMANCE_DIR") or sibling)
    if not folder.is_dir():
        pytest.skip("the shared case files are not here: CSM_CONFORMANCE_DIR names no folder")
    return folder


def capture(name: str) -> list[Recorded]:
    """Return a capture; it is part of the project."""
    with gzip.open(_CAPTURED / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [_captured(json.loads(line), "scenario") for line in lines]


def truth_recording(name: str) -> list[Recorded]:
    """Return a truth recording, the project's own copy where there is one."""
    own = _CAPTURED / "truth" / f"{name}.jsonl.gz"
    if own.is_file():
        return read_truth(own)
    folder = shared_dir() / "captured"
    return read_truth(
        folder / "groundtruth" / f"{name}.jsonl" if name.startswith("gt_") else folder / "truth" / own.name
    )


def read_truth(path: Path) -> list[Recorded]:
    """Return a truth recording: with a heading and compressed, or in the format of the captures."""
    if path.suffix == ".jsonl":
        return [_captured(json.loads(line), "truth") for line in path.read_text(encoding="utf-8").splitlines()]
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        next(lines)  # the heading
        return [_recorded(json.loads(line)) for line in lines]


def recording(name: str) -> list[Recorded]:
    """Return a capture or a truth recording."""
    return capture(name) if name in CAPTURES else truth_recording(name)


def play(recorded: Iterable[Recorded]) -> Played:
    """Feed datagrams to a correlator at the times of their receipt, then flush it."""
    correlator = Correlator()
    played = Played([], [], [])
    for index, datagram in enumerate(recorded):
        now = datagram.received_ns / _NS_PER_SECOND
        played.released.extend(correlator.expire(now=now))
        try:
            events = decode(datagram.payload).events
        except MalformedDatagramError as error:
            played.rejected.append((index, error.reason))
            continue
        for event in events:
            played.events.append((event, index))
            played.released.extend(
                correlator.receive(event, peer=datagram.peer, received_ns=datagram.received_ns, now=now)
            )
    played.released.extend(correlator.flush())
    return played


def trees_of(played: Played) -> list[list[SpanData]]:
    """Return the spans of everything that was released, a list for each call and each orphan."""
    mapper = SpanMapper(ids=CountingIds(), resource={})
    return [mapper.map(released) for released in played.released]


def _captured(line: dict[str, Any], label: str) -> Recorded:
    peer = Peer("127.0.0.1", line["src_port"])
    return Recorded(line["datagram"].encode(), peer, int(line["recv_epoch_ms"] * _NS_PER_MS), line[label])


def _recorded(line: dict[str, Any]) -> Recorded:
    peer = Peer("::1" if line["v6"] else "127.0.0.1", line["sport"])
    return Recorded(base64.b64decode(line["b64"]), peer, line["kern_ns"], line["call"])
