"""The formats of recordings: packed ones are read back, and both kinds of lines are read alike."""

from __future__ import annotations

import base64
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from conformance.packed import SUFFIX, Recorded, heading_of, pack, read

from csm_otel.csm.events import Peer

if TYPE_CHECKING:
    from pathlib import Path

HEADING: dict[str, Any] = {"scenario": "one", "versions": [{"sdk": "boto3"}], "truth": "hook"}
RECORDED = [
    Recorded(b'{"Type":"ApiCall"}', Peer("127.0.0.1", 40_000), 1_700_000_000_123_456_789, "1.1"),
    Recorded(b"", Peer("::1", 40_001), 1_700_000_000_123_456_790, "1.2"),
    Recorded(b"cut in two: \xc3", Peer("127.0.0.1", 40_000), 1_700_000_000_123_456_780, "(start)"),
]


def write_lines(path: Path) -> None:
    """Write the recording as a recorder does: with a heading, payloads in base64."""
    lines = [HEADING] + [
        {
            "i": index,
            "kern_ns": one.received_ns,
            "sport": one.peer.port,
            "v6": one.peer.host == "::1",
            "call": one.label,
            "b64": base64.b64encode(one.payload).decode(),
        }
        for index, one in enumerate(RECORDED)
    ]
    path.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))


def test_a_packed_recording_is_read_as_it_was(tmp_path: Path) -> None:
    """Empty and non-UTF-8 payloads, times that step back and both kinds of addresses are preserved."""
    path = tmp_path / f"one{SUFFIX}"
    path.write_bytes(pack(RECORDED, HEADING))
    assert RECORDED == read(path)


def test_packing_is_reproducible() -> None:
    """The same recording gives the same bytes."""
    assert pack(RECORDED, HEADING) == pack(list(RECORDED), dict(HEADING))


def test_lines_with_a_heading_are_read(tmp_path: Path) -> None:
    """A recorder's lines are read as the same recording, and its heading separately."""
    path = tmp_path / "one.jsonl.gz"
    write_lines(path)
    assert RECORDED == read(path)
    assert HEADING == heading_of(path)


@pytest.mark.parametrize("label", ["scenario", "truth"])
def test_lines_without_a_heading_are_read(tmp_path: Path, label: str) -> None:
    """A capture has the payload as text and a label that is a scenario or a call."""
    path = tmp_path / "one.jsonl"
    line = {"seq": 0, "recv_epoch_ms": 1_700_000_000_128.0, "src_port": 40_000, label: "simple", "datagram": "{}"}
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    assert [Recorded(b"{}", Peer("127.0.0.1", 40_000), 1_700_000_000_128_000_000, "simple")] == read(path)
    assert heading_of(path) == {}
