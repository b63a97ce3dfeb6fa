"""What a file is, by its content, and what is read of one that is damaged."""

from __future__ import annotations

import gzip
import random
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from commands.input_files import line_of, lines_of, recording_of, requests_of, write_requests, write_spool
from configured import configured
from hypothesis import example, given
from hypothesis import strategies as st
from stops import NeverStopped
from traced import attempt_of, traced

from csm_otel.commands.report_inputs import ReportInputs
from csm_otel.delivery.spool_file import NAME
from csm_otel.errors import InputError
from csm_otel.spans.data import SpanRole

if TYPE_CHECKING:
    from collections.abc import Generator

    from csm_otel.process.stop import StopSignal
    from csm_otel.spans.data import SpanData

FIVE_RECORDED, FIVE = recording_of(5), lines_of(5)
NO_TRACES = "no traces in OTLP/JSON"
COLLECTOR_JSON = "have the collector write JSON, without compression"
NO_LINE = "not a line of a csm-otel recording"


class _Read:
    """What has been read."""

    def __init__(self) -> None:
        self.groups: list[list[SpanData]] = []
        self.said: list[str] = []

    @property
    def calls(self) -> int:
        return sum(group[0].role is SpanRole.CALL for group in self.groups)


@pytest.fixture
def stop() -> Generator[NeverStopped]:
    """Return a stop that the test may set."""
    with closing(NeverStopped()) as stop:
        yield stop


def read(stop: NeverStopped, *paths: Path) -> _Read:
    """Read files."""
    result = _Read()
    inputs = ReportInputs(
        configured(),
        cast("StopSignal", stop),
        add=lambda spans: result.groups.append(list(spans)),
        say=result.said.append,
    )
    for path in paths:
        inputs.read(path)
    inputs.close()
    return result


@pytest.mark.parametrize(
    ("content", "calls", "said"),
    [
        pytest.param(FIVE_RECORDED, 5, [], id="recording"),
        pytest.param(FIVE_RECORDED * 2, 10, [], id="two-recordings"),
        pytest.param(FIVE, 5, [], id="otlp"),
        pytest.param(lines_of(3, scope="otherlib") + FIVE, 5, [], id="otlp-of-others-too"),
        pytest.param(gzip.compress(FIVE_RECORDED), 5, [], id="gzip-recording"),
        pytest.param(gzip.compress(FIVE), 5, [], id="gzip-otlp"),
        pytest.param(FIVE_RECORDED[:-9], 4, [f"1 line of PATH skipped: {NO_LINE}"], id="cut-recording"),
        pytest.param(FIVE[:-9], 4, ["1 line of PATH skipped: JSON that does not end on its line"], id="cut-otlp"),
        pytest.param(FIVE[9:], 4, [f"1 line of PATH skipped: {NO_TRACES}"], id="otlp-without-its-start"),
        pytest.param(
            FIVE + b'{"resourceMetrics":[]}\n' * 3,
            5,
            ["3 lines of PATH skipped: metrics in OTLP/JSON, no traces"],
            id="metrics-too",
        ),
        pytest.param(b"hello\n" + FIVE_RECORDED, 5, [f"1 line of PATH skipped: {NO_TRACES}"], id="words-first"),
        pytest.param(FIVE_RECORDED + FIVE, 5, [f"5 lines of PATH skipped: {NO_LINE}"], id="otlp-behind-a-recording"),
        pytest.param(recording_of(0), 0, [], id="recording-of-nothing"),
        pytest.param(
            recording_of(1, dropped=7, malformed=2),
            1,
            ["PATH: 7 datagrams dropped by the kernel, 2 datagrams malformed (2 not JSON)"],
            id="losses",
        ),
    ],
)
def test_kinds(content: bytes, calls: int, said: list[str], stop: NeverStopped, tmp_path: Path) -> None:
    """A file is read as what it contains, whatever its name; what cannot be read of it is said."""
    path = tmp_path / "file"
    path.write_bytes(content)
    result = read(stop, path)

    assert result.calls == calls
    assert [line.replace(str(path), "PATH") for line in result.said] == said


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        pytest.param(b"", " is empty", id="empty"),
        pytest.param(b"\n\n", " is empty", id="blank"),
        pytest.param(b'{"a": 1}\n', f" is no recording and no spool: {NO_TRACES}", id="foreign-json"),
        pytest.param(b"hello\n" * 5000, f" is no recording and no spool: {NO_TRACES}", id="text"),
        pytest.param(bytes(range(256)) * 40, f" is no recording and no spool: {NO_TRACES}", id="binary"),
        pytest.param(b"\xff\xfe{\n", f" is no recording and no spool: {NO_TRACES}", id="utf-16"),
        pytest.param(b"[" * 200_000, f" is no recording and no spool: {NO_TRACES}", id="deep"),
        pytest.param(FIVE[:600], " is no recording and no spool: JSON that does not end on its line", id="cut"),
        pytest.param(
            b'{"resourceMetrics":[]}\n', " is no recording and no spool: metrics in OTLP/JSON, no traces", id="metrics"
        ),
        pytest.param(lines_of(3, scope="otherlib"), ": 6 spans, none of csm-otel's", id="others"),
        pytest.param(b'{"resourceSpans":[]}\n', ": 0 spans, none of csm-otel's", id="no-spans"),
        pytest.param(
            FIVE_RECORDED.partition(b"\n")[2],
            " is no recording: it does not begin with a recording's first line",
            id="recording-without-its-start",
        ),
        pytest.param(
            FIVE_RECORDED.replace(b'"format":1', b'"format":7'),
            " is no recording: recorded in format 7; this csm-otel reads format 1",
            id="another-format",
        ),
        pytest.param(b"SQLite format 3\0" + b"x" * 5000, ": a damaged spool of which nothing can be read", id="sqlite"),
        pytest.param(b"\x28\xb5\x2f\xfdabc", " is compressed with zstd; decompress it first", id="zstd"),
        pytest.param(b"\0\0\0\x07\x28\xb5\x2f\xfdabc", f" is not in JSON; {COLLECTOR_JSON}", id="collector-zstd"),
        pytest.param(b"\0\0\0\x03\n\x01\0", f" is not in JSON; {COLLECTOR_JSON}", id="collector-protobuf"),
        pytest.param(
            gzip.compress(FIVE)[:50],
            " is no recording and no spool: the compressed data is cut or damaged",
            id="cut-gzip",
        ),
        pytest.param(
            b"\x1f\x8b" + b"\0" * 20,
            " is no recording and no spool: the compressed data is cut or damaged",
            id="no-gzip",
        ),
    ],
)
def test_unusable(content: bytes, fault: str, stop: NeverStopped, tmp_path: Path) -> None:
    """A file with nothing to report on is one error, which has its name and the reason."""
    path = tmp_path / "file"
    path.write_bytes(content)

    with pytest.raises(InputError) as caught:
        read(stop, path)
    assert str(caught.value) == f"{path}{fault}"


COLLECTOR = Path(__file__).with_name("collector.jsonl")
"""Written by the file exporter of a collector 0.165 whose batches have four spans."""


@pytest.mark.parametrize("seed", range(5))
def test_collector(seed: int, stop: NeverStopped, tmp_path: Path) -> None:
    """Calls have their attempts, in whatever order the collector has written its batches."""
    lines = COLLECTOR.read_bytes().splitlines(keepends=True)
    if seed:
        random.Random(seed).shuffle(lines)
    (tmp_path / "file").write_bytes(b"".join(lines))
    groups = read(stop, tmp_path / "file").groups

    assert [(group[0].name, len(group)) for group in groups] == [
        ("S3.GetObject", 2),
        ("S3.HeadObject", 2),
        ("S3.GetObject", 3),
        ("S3.GetObject", 4),
        ("S3.ListBuckets", 1),
        ("S3.GetObject", 2),
        ("S3.GetObject", 2),
        ("S3.GetObject", 2),
        ("small.py", 1),
    ]


def test_missing(stop: NeverStopped, tmp_path: Path) -> None:
    """So is a file that does not exist."""
    with pytest.raises(InputError, match=r"/missing: no such file or directory$"):
        read(stop, tmp_path / "missing")


def test_folder(stop: NeverStopped, tmp_path: Path) -> None:
    """So is a folder that is no spool."""
    with pytest.raises(InputError, match=f"^{tmp_path}: a folder without a spool$"):
        read(stop, tmp_path)


@pytest.mark.parametrize("name", ["", NAME])
def test_spool(name: str, stop: NeverStopped, tmp_path: Path) -> None:
    """A spool is named by its folder or its file."""
    write_spool(tmp_path, 3)
    result = read(stop, tmp_path / name)

    assert [len(group) for group in result.groups] == [2, 2, 2]
    assert result.said == []


def test_spool_on_stdin(stop: NeverStopped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spool has to be named, as its log is a file of its own."""
    write_spool(tmp_path, 1)
    with (tmp_path / NAME).open("rb") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(InputError, match=r"^-: a spool; name its folder instead$"):
            read(stop, Path("-"))


def test_empty_spool(stop: NeverStopped, tmp_path: Path) -> None:
    """A spool in which nothing waits is no fault."""
    write_spool(tmp_path, 0)
    result = read(stop, tmp_path)

    assert (result.groups, result.said) == ([], [])


@pytest.mark.parametrize("other", [pytest.param(b"\xff\xff", id="no-protobuf"), pytest.param(b"", id="without-traces")])
def test_damaged_spool(other: bytes, stop: NeverStopped, tmp_path: Path) -> None:
    """What can be read of it is, and the damage is said."""
    write_requests(tmp_path / "some", [*requests_of(2), other])
    result = read(stop, tmp_path / "some")
    assert result.calls == 2
    assert result.said == [f"{tmp_path / 'some'}: a damaged spool; what can be read of it is in the report"]

    write_requests(tmp_path / "none", [other])
    with pytest.raises(InputError, match=r"a damaged spool of which nothing can be read$"):
        read(stop, tmp_path / "none")


def test_a_call_in_one_file_and_its_attempts_in_another(stop: NeverStopped, tmp_path: Path) -> None:
    """As where a collector begins another file; the order of the files does not matter."""
    call = traced("S3.GetObject", 0, 5)
    (tmp_path / "a").write_bytes(line_of(attempt_of(call, 1, 4)))
    (tmp_path / "b").write_bytes(line_of(call))
    result = read(stop, tmp_path / "a", tmp_path / "b")

    assert [[span.name for span in group] for group in result.groups] == [["S3.GetObject", "S3.GetObject attempt"]]


@pytest.mark.parametrize("content", [FIVE_RECORDED, FIVE, gzip.compress(FIVE), b"hello", b""])
def test_signal(content: bytes, stop: NeverStopped, tmp_path: Path) -> None:
    """Once a signal has come nothing more is read, and nothing is a fault."""
    (tmp_path / "file").write_bytes(content)
    write_spool(tmp_path / "spool", 1)
    stop.number = 2

    assert read(stop, tmp_path / "file", tmp_path / "spool").calls == 0


def _spooled() -> bytes:
    """Return the file of a spool."""
    with tempfile.TemporaryDirectory() as folder:
        write_spool(Path(folder), 5)
        return Path(folder, NAME).read_bytes()


CONTENTS = {"": b"", "spans": FIVE, "recording": FIVE_RECORDED, "gzip": gzip.compress(FIVE), "spool": _spooled()}


@given(
    st.sampled_from(sorted(CONTENTS)),  # by name: an example is printed
    st.floats(0, 1),
    st.integers(0, 200),
    st.binary(max_size=200),
)
@example("spool", 0.23828125, 0, b"[\x80")  # names in the message of SQLite need not be UTF-8
def test_any_content(name: str, at: float, removed: int, added: bytes) -> None:
    """Whatever a file contains, it is read, or is one error in one line."""
    content = CONTENTS[name]
    start = int(at * len(content))
    with tempfile.TemporaryDirectory() as folder, closing(NeverStopped()) as stop:
        path = Path(folder, "file")
        path.write_bytes(content[:start] + added + content[start + removed :])
        try:
            said = read(stop, path).said
        except InputError as error:
            said = [str(error)]
    assert [line for line in said if not line.isprintable()] == []
