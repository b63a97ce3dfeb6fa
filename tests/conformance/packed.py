"""Recordings of datagrams as files: the packed format of this project, and the lines that recorders write.

A packed recording, ``NAME.json.xz``, is one JSON document compressed by LZMA. Its lists have an item for each datagram,
column by column, because that compresses best: ``received_ns`` (epoch nanoseconds of the first, then the difference to
the one before), ``ports``, ``hosts``, ``labels`` (a scenario, or the id of the API call), and ``payloads`` (bytes that
are no UTF-8 as lone surrogates, as by the error handler ``surrogateescape``). Other entries, such as the versions of
the SDK, are for people.

Recorders write a line of JSON for each datagram: plain ``.jsonl``, or ``.jsonl.gz`` with a heading and payloads in
base64. `read` reads all three.
"""

from __future__ import annotations

import base64
import gzip
import json
import lzma
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from csm_otel.csm.events import Peer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SUFFIX = ".json.xz"
_NS_PER_MS = 1_000_000
# Text without alignment, whose next letter depends on more than the last three bits: 1 % smaller than the preset alone.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "pb": 0}]


class Recorded(NamedTuple):
    """One datagram as it was received."""

    payload: bytes
    peer: Peer
    received_ns: int
    """Epoch nanoseconds."""
    label: str
    """The scenario in a capture, the id of the API call in a truth recording."""


def read(path: Path) -> list[Recorded]:
    """Return a recording in any of the three formats."""
    if path.name.endswith(SUFFIX):
        return _unpack(json.loads(lzma.decompress(path.read_bytes())))
    if path.suffix == ".jsonl":
        return [_captured(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    return [_of_truth(json.loads(line)) for line in gzip.decompress(path.read_bytes()).splitlines()[1:]]


def heading_of(path: Path) -> dict[str, Any]:
    """Return the heading of a recording in lines; that of ``.jsonl`` is empty."""
    if path.suffix == ".jsonl":
        return {}
    heading: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()).splitlines()[0])
    return heading


def pack(recorded: list[Recorded], heading: Mapping[str, Any]) -> bytes:
    """Return a recording in the packed format; the same recording gives the same bytes with one version of LZMA."""
    times = [datagram.received_ns for datagram in recorded]
    document = {
        **heading,
        "received_ns": [after - before for before, after in pairwise([0, *times])],
        "ports": [datagram.peer.port for datagram in recorded],
        "hosts": [datagram.peer.host for datagram in recorded],
        "labels": [datagram.label for datagram in recorded],
        "payloads": [datagram.payload.decode("utf-8", "surrogateescape") for datagram in recorded],
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    return lzma.compress(text, check=lzma.CHECK_CRC32, filters=_FILTERS)


def _unpack(document: dict[str, Any]) -> list[Recorded]:
    columns = (
        accumulate(document["received_ns"]),
        *(document[name] for name in ("ports", "hosts", "labels", "payloads")),
    )
    return [
        Recorded(payload.encode("utf-8", "surrogateescape"), Peer(host, port), received_ns, label)
        for received_ns, port, host, label, payload in zip(*columns, strict=True)
    ]


def _captured(line: dict[str, Any]) -> Recorded:
    peer = Peer("127.0.0.1", line["src_port"])
    label = line["truth"] if "truth" in line else line["scenario"]
    return Recorded(line["datagram"].encode(), peer, int(line["recv_epoch_ms"] * _NS_PER_MS), label)


def _of_truth(line: dict[str, Any]) -> Recorded:
    peer = Peer("::1" if line["v6"] else "127.0.0.1", line["sport"])
    return Recorded(base64.b64decode(line["b64"]), peer, line["kern_ns"], line["call"])
