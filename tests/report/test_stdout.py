"""Waterfalls on stdout: when they are printed, and failures to print them."""

from __future__ import annotations

import io
import os
import sys

import pytest
from arrivals import called, tried
from mapped import mapped

from csm_otel.report.stdout import Stdout
from csm_otel.report.waterfall import render_waterfall
from csm_otel.spans.data import TraceContext

SPANS = mapped(tried("a", 2, 27), called(0, 30))
IN_A_PROCESS = mapped(tried("a", 2, 27), called(0, 30), parent=TraceContext(trace_id=1, span_id=2))


class Stream(io.TextIOWrapper):
    """A stream of an encoding that can be read back."""

    def __init__(self, encoding: str) -> None:
        self.written = io.BytesIO()
        super().__init__(self.written, encoding=encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_batch_is_printed_at_once(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch is flushed as a waterfall of 120 columns, in ASCII if the stream has no UTF-8."""
    stream = Stream(encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    stdout = Stdout(say=pytest.fail, environ={})

    stdout.show(SPANS)

    expected = render_waterfall(SPANS, width=120, color=False, ascii_only=encoding == "ascii")
    assert expected
    assert stream.written.getvalue().decode(encoding) == expected


@pytest.mark.parametrize(
    ("environ", "is_colored"), [({}, False), ({"FORCE_COLOR": "1"}, True), ({"NO_COLOR": "1"}, False)]
)
def test_colors(environ: dict[str, str], capsys: pytest.CaptureFixture[str], *, is_colored: bool) -> None:
    """What is no terminal gets colours only if they are forced."""
    Stdout(say=pytest.fail, environ=environ).show(SPANS)

    assert ("\x1b[" in capsys.readouterr().out) is is_colored


def test_pending_traces_are_printed_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    """Calls of a process whose root never arrives are printed at the end."""
    stdout = Stdout(say=pytest.fail, environ={})

    stdout.show(IN_A_PROCESS)
    assert not capsys.readouterr().out
    stdout.flush()

    assert "S3.GetObject" in capsys.readouterr().out
    stdout.flush()
    assert not capsys.readouterr().out


def test_no_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure to print is reported, and has no other effect."""
    logged: list[str] = []
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w", encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)

    Stdout(say=logged.append, environ={}).show(SPANS)

    assert logged == ["cannot write to stdout: broken pipe"]
    with pytest.raises(BrokenPipeError):  # left in its buffer
        stream.close()


def test_stdout_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was started with stdout closed prints nothing and reports nothing."""
    monkeypatch.setattr(sys, "stdout", None)
    stdout = Stdout(say=pytest.fail, environ={})

    stdout.show(SPANS)
    stdout.flush()
