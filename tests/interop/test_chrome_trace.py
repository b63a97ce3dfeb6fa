"""The file of ``--chrome-trace`` in the viewers that it is for: Perfetto, by its trace processor, and speedscope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from interop.install_viewers import opened, why_no_viewers
from traced import attempt_of, command, traced

from csm_otel.report.chrome_trace import render_chrome_trace
from csm_otel.summary.trace import Call

if TYPE_CHECKING:
    from pathlib import Path

MS = 1_000_000


def opened_in_viewers(trace: Path) -> dict[str, Any]:
    """Return what the viewers make of a file, or skip the test where there are none."""
    if reason := why_no_viewers():
        pytest.skip(reason)
    return opened(trace)


def retried(number: int) -> Call:
    """Return a call of 12 ms, three ms after the one before, with a pause of 6 ms between two attempts."""
    at = number * 3
    span = traced("S3.PutObject", at, at + 12, status=200)
    attempts = attempt_of(span, at, at + 2, status=503, error="SlowDown"), attempt_of(span, at + 8, at + 12)
    return Call(span=span, attempts=attempts)


@pytest.mark.parametrize("count", [8, 100_000])
def test_slices(count: int, tmp_path: Path) -> None:
    """Each lane has its calls, with attempts and pauses one level below; nothing is lost, nothing complained of."""
    trace = tmp_path / "trace.json"
    trace.write_bytes(render_chrome_trace(map(retried, range(count)), [command(count * 3 + 20)]))
    found = opened_in_viewers(trace)

    of_a_lane = count // 4
    expected = [
        row
        for lane in range(1, 5)
        for row in (
            [f"calls {lane}", "S3.PutObject", 0, of_a_lane, of_a_lane * 12 * MS],
            [f"calls {lane}", "S3.PutObject attempt", 1, of_a_lane * 2, of_a_lane * 6 * MS],
            [f"calls {lane}", "back-off", 1, of_a_lane, of_a_lane * 6 * MS],
        )
    ]
    assert found["slices"] == [*expected, ["command 1", "legacy.py", 0, 1, (count * 3 + 20) * MS]]
    assert (found["losses"], found["speedscope"]) == ([], ["trace.json - speedscope"])


def test_hostile_texts(tmp_path: Path) -> None:
    """Texts of senders are shown as they are, but for what is not printable."""
    texts = ["<script>alert(1)</script>", "a\x1b[31m\u202eb", '"\\\n', "W" * 5_000]
    shown = ["<script>alert(1)</script>", "a[31mb", '"\\', "W" * 1_021]
    spans = [traced(f"S3.{text}", at, at + 1, error=text, message=text) for at, text in enumerate(texts)]
    trace = tmp_path / "trace.json"
    trace.write_bytes(render_chrome_trace([Call(span=span, attempts=()) for span in spans], []))
    found = opened_in_viewers(trace)

    assert sorted(row[1] for row in found["slices"]) == sorted(f"S3.{text}" for text in shown)
    assert (found["losses"], found["speedscope"]) == ([], ["trace.json - speedscope"])
