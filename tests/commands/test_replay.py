"""Whether a file is a recording, and what is replayed of it. Whole replays are in tests/e2e/test_replay.py."""

from __future__ import annotations

import io
import re
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from configured import configured
from datagrams import BASE_MS, call
from stops import NeverStopped

from csm_otel.commands.replay import replay
from csm_otel.config.configuration import configure
from csm_otel.config.environment import Given
from csm_otel.config.settings import Settings
from csm_otel.config.standard import StandardVariables
from csm_otel.csm.decoding import decode
from csm_otel.csm.events import Origin
from csm_otel.csm.times import NS_PER_MS
from csm_otel.errors import InputError, SettingsError
from csm_otel.files.recording import FORMAT, Heading, RecordedDatagram, RecordedOrigin, encode_line
from csm_otel.process.speaker import Speaker

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

WALL_NS = 1_795_458_108_269_000_000
HEADINGS = [Heading(format=FORMAT, seed=seed, host_name="build-7") for seed in (1, 2)]
FIRST, SECOND = map(encode_line, HEADINGS)
NO_LINE = "not a line of a csm-otel recording"


@pytest.fixture
def without_signals(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Leave the signal handlers of the test run unchanged."""
    with closing(NeverStopped()) as stop:
        monkeypatch.setattr("csm_otel.commands.replay.StopSignal", lambda *_numbers: stop)
        yield


@pytest.mark.usefixtures("without_signals")
@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        pytest.param("missing", None, "no such file or directory", id="missing"),
        pytest.param("empty", b"", "is no recording: it is empty", id="empty"),
        pytest.param("other", b"hello\n", f"is no recording: {NO_LINE}", id="something-else"),
    ],
)
def test_no_recording(name: str, text: bytes | None, why: str, tmp_path: Path) -> None:
    """A file that is not a recording is an error that names it."""
    path = tmp_path / name
    if text is not None:
        path.write_bytes(text)

    with pytest.raises(InputError) as caught:
        replay(path, configured(), Speaker(io.StringIO()))
    assert str(path) in str(caught.value)
    assert why in str(caught.value)


@pytest.mark.usefixtures("without_signals")
def test_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each recording is shown with its own tally, and skipped lines are counted."""
    line = RecordedDatagram(
        at_ns=1, received_ns=WALL_NS, host="127.0.0.1", port=40_000, events=tuple(decode(call()).events)
    )
    path, stderr = tmp_path / "kept.ndjson", io.StringIO()
    path.write_bytes((FIRST + encode_line(line) + b"{\n") + SECOND + encode_line(line))

    assert replay(path, configured(), Speaker(stderr)) == 0
    assert len(re.findall(r"^S3\.GetObject .* trace ", capsys.readouterr().out, re.MULTILINE)) == 2
    assert stderr.getvalue().count("1 datagram received in") == 2
    assert stderr.getvalue().endswith(f"csm-otel: 1 line of {path} skipped: {NO_LINE}\n")


@pytest.mark.usefixtures("without_signals")
@pytest.mark.parametrize("group", ["call", "process"])
def test_xray_ids_are_those_of_the_recording(tmp_path: Path, group: str) -> None:
    """They have the time of the recorded call, not of the replay, and are the same each time, also for a process."""
    events = tuple(decode(call()).events)
    line = RecordedDatagram(at_ns=1, received_ns=BASE_MS * NS_PER_MS, host="127.0.0.1", port=40_000, events=events)
    path = tmp_path / "kept.ndjson"
    nightly = Origin(pid=7, start_ticks=70, start_ns=WALL_NS, name="nightly.py", executable="python3.11")
    origin = RecordedOrigin(at_ns=1, host="127.0.0.1", port=40_000, origin=nightly)
    path.write_bytes(FIRST + encode_line(origin) + encode_line(line))
    written = []
    for name in ("first", "second"):
        settings = Settings(file=tmp_path / name, group=group)  # type: ignore[arg-type]
        configuration, _ = configure("replay", Given(settings, StandardVariables(python_id_generator="xray")))
        replay(path, configuration, Speaker(io.StringIO()))
        written.append((tmp_path / name).read_bytes())

    assert written[0] == written[1]
    (trace_id,) = set(re.findall(rb'"traceId":"([0-9a-f]{32})"', written[0]))
    assert (b'"name":"nightly.py"' in written[0]) is (group == "process")
    assert int(trace_id[:8], 16) == BASE_MS // 1000


@pytest.mark.usefixtures("without_signals")
def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    """A destination that cannot be written ends the replay before anything is shown."""
    path = tmp_path / "kept.ndjson"
    path.write_bytes(FIRST)

    with pytest.raises(SettingsError, match=r"^--file: "):
        replay(path, configured(file=tmp_path / "no" / "file"), Speaker(io.StringIO()))
