"""Lines for the operator: prefixed, held, bounded in rate, and never an exception."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from csm_otel.process.speaker import RateLimit, Speaker


@pytest.fixture
def stream() -> io.StringIO:
    """Return a stream that keeps its content."""
    return io.StringIO()


def test_a_line(stream: io.StringIO) -> None:
    """A line is prefixed with the program's name; text is written unchanged."""
    speaker = Speaker(stream)

    speaker.say("listening")
    speaker.write("as it is\n")

    assert stream.getvalue() == "csm-otel: listening\nas it is\n"


def test_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines go to stderr by default."""
    Speaker().say("listening")

    assert capsys.readouterr() == ("", "csm-otel: listening\n")


def test_quiet(stream: io.StringIO) -> None:
    """A quiet speaker writes nothing, neither at once nor on release."""
    for speaker in (Speaker(stream, quiet=True), Speaker(stream, held=True, quiet=True)):
        speaker.say("a")
        speaker.warn("b")
        speaker.write("c")
        speaker.release()

    assert not stream.getvalue()


def test_held(stream: io.StringIO) -> None:
    """Lines that are held are written on release, in order; after that nothing is held."""
    speaker = Speaker(stream, held=True)
    speaker.say("first")
    speaker.warn("second")
    speaker.write("third\n")
    before = stream.getvalue()

    speaker.release()
    speaker.say("fourth")
    speaker.release()

    assert not before
    assert stream.getvalue() == "csm-otel: first\ncsm-otel: second\nthird\ncsm-otel: fourth\n"


def test_released_to_another_stream(stream: io.StringIO) -> None:
    """Held lines, and all later ones, can be released to another stream."""
    first = io.StringIO()
    speaker = Speaker(first, held=True)
    speaker.say("held")

    speaker.release(stream)
    speaker.say("later")

    assert not first.getvalue()
    assert stream.getvalue() == "csm-otel: held\ncsm-otel: later\n"


def test_held_lines_are_bounded(stream: io.StringIO) -> None:
    """Only the first hundred lines are held, however long the command runs."""
    speaker = Speaker(stream, held=True)
    for number in range(1000):
        speaker.say(str(number))
    speaker.release()

    assert [f"csm-otel: {number}" for number in range(100)] == stream.getvalue().splitlines()


def test_a_warning_once_a_minute(stream: io.StringIO) -> None:
    """The same warning is written once a minute, whatever comes between."""
    now = 0.0
    speaker = Speaker(stream, clock=lambda: now)
    for seconds in (0, 1, 59.9, 60, 119.9, 120):
        now = 1000.0 + seconds
        speaker.warn(f"at {seconds}", kind="same")
        speaker.warn(f"other {seconds}")

    lines = stream.getvalue().splitlines()
    assert [line for line in lines if " at " in line] == ["csm-otel: at 0", "csm-otel: at 60", "csm-otel: at 120"]
    assert sum(" other " in line for line in lines) == 6


def test_a_warnings_kind_is_its_text(stream: io.StringIO) -> None:
    """A warning without a kind is the same as another with its text."""
    now = 1000.0
    speaker = Speaker(stream, clock=lambda: now)
    for text in ("a", "b", "a", "b"):
        speaker.warn(text)
    now += 60
    speaker.warn("a")

    assert stream.getvalue().splitlines() == ["csm-otel: a", "csm-otel: b", "csm-otel: a"]


def test_any_number_of_kinds(stream: io.StringIO) -> None:
    """Warnings of any number of kinds are written, and not all of the kinds remembered."""
    speaker = Speaker(stream, clock=lambda: 1000.0)
    for number in range(1000):
        speaker.warn("x", kind=str(number))

    assert len(stream.getvalue().splitlines()) == 1000
    assert len(speaker._rate_limit._last) <= 100


def test_a_closed_stream(stream: io.StringIO) -> None:
    """Writing to a closed stream raises nothing."""
    stream.close()
    speaker = Speaker(stream, held=True)

    speaker.say("held")
    speaker.release()
    speaker.warn("said")

    assert stream.closed


def test_a_broken_pipe() -> None:
    """Writing to a pipe without a reader raises nothing."""
    reader, writer = os.pipe()
    os.close(reader)
    pipe = open(writer, "w", encoding="utf-8")  # ruff: ignore[builtin-open, open-file-with-context-handler]

    Speaker(pipe).say("x")
    Speaker(pipe).say("y")

    with pytest.raises(BrokenPipeError):  # its buffer still has the unwritten line
        pipe.close()


def test_an_ascii_stream() -> None:
    """Characters that a stream cannot encode are replaced."""
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="ascii") as stream:
        Speaker(stream).say("Büro 漢字 \udcff")

        assert raw.getvalue() == b"csm-otel: B?ro ?? ?\n"


def test_a_stream_without_an_encoding() -> None:
    """A stream without an encoding gets ASCII."""
    stream = io.StringIO()
    Speaker(stream).say("Büro")

    assert stream.getvalue() == "csm-otel: B?ro\n"


def test_without_stderr() -> None:
    """A process that was started with stderr closed writes nothing, and continues."""
    program = (
        "from csm_otel.process.speaker import Speaker; Speaker().say('x'); Speaker(held=True).release(); print('alive')"
    )

    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, program],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stdout) == (0, "alive\n")


def test_libraries_are_silent() -> None:
    """Neither what they log nor a warning of theirs gets to stderr, also where Python is asked to show warnings."""
    program = (
        "import logging, warnings; from csm_otel.process.speaker import silence_libraries; silence_libraries(); "
        "logging.getLogger('library').error('logged'); warnings.warn('warned', stacklevel=1)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_a_rate_limit() -> None:
    """The same kind is allowed once a minute, whatever comes between; each kind has its own minute."""
    limit = RateLimit()
    allowed = [limit.allows("a", now=now) for now in (0.0, 59.9, 60.0, 119.9, 120.0)]

    assert allowed == [True, False, True, False, True]
    assert limit.allows("b", now=120.0)


def test_a_rate_limit_is_bounded() -> None:
    """Any number of kinds is allowed, and not all of them remembered."""
    limit = RateLimit()

    assert all(limit.allows(str(number), now=0.0) for number in range(1000))
    assert len(limit._last) <= 100
