"""What the program says, and that saying it never hurts."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from csm_otel.process import speaker as speaker_module
from csm_otel.process.speaker import Repeats, Speaker


@pytest.fixture
def stream() -> io.StringIO:
    """Return a stream that keeps what it gets."""
    return io.StringIO()


class Clock:
    """A monotonic clock that is set by hand; the module's ``time``."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Return the seconds it was set to."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock that the speaker looks at."""
    clock = Clock()
    monkeypatch.setattr(speaker_module, "time", clock)
    return clock


def test_a_line(stream: io.StringIO) -> None:
    """A line has the program's name, text is as it is."""
    speaker = Speaker(stream)

    speaker.say("listening")
    speaker.write("as it is\n")

    assert stream.getvalue() == "csm-otel: listening\nas it is\n"


def test_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing else is asked for, it is stderr."""
    Speaker().say("listening")

    assert capsys.readouterr() == ("", "csm-otel: listening\n")


def test_quiet(stream: io.StringIO) -> None:
    """A quiet speaker says nothing at all, neither now nor after it has held it."""
    for speaker in (Speaker(stream, quiet=True), Speaker(stream, held=True, quiet=True)):
        speaker.say("a")
        speaker.warn("b")
        speaker.write("c")
        speaker.release()

    assert not stream.getvalue()


def test_held(stream: io.StringIO) -> None:
    """What is said while a command has the terminal comes, in its order, when that is over; then nothing is held."""
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
    """What was held can go elsewhere, and so does all that follows."""
    first = io.StringIO()
    speaker = Speaker(first, held=True)
    speaker.say("held")

    speaker.release(stream)
    speaker.say("later")

    assert not first.getvalue()
    assert stream.getvalue() == "csm-otel: held\ncsm-otel: later\n"


def test_what_is_held_is_bounded(stream: io.StringIO) -> None:
    """A command that runs for days fills no memory with lines."""
    speaker = Speaker(stream, held=True)
    for number in range(1000):
        speaker.say(str(number))
    speaker.release()

    assert [f"csm-otel: {number}" for number in range(100)] == stream.getvalue().splitlines()


def test_a_warning_once_a_minute(stream: io.StringIO, clock: Clock) -> None:
    """The same warning comes once a minute, whatever comes between."""
    speaker = Speaker(stream)
    for seconds in (0, 1, 59.9, 60, 119.9, 120):
        clock.now = 1000.0 + seconds
        speaker.warn(f"at {seconds}", kind="same")
        speaker.warn(f"other {seconds}")

    lines = stream.getvalue().splitlines()
    assert [line for line in lines if " at " in line] == ["csm-otel: at 0", "csm-otel: at 60", "csm-otel: at 120"]
    assert sum(" other " in line for line in lines) == 6


def test_a_warnings_kind_is_its_text(stream: io.StringIO, clock: Clock) -> None:
    """A warning without a kind is the same as another of its words."""
    speaker = Speaker(stream)
    for text in ("a", "b", "a", "b"):
        speaker.warn(text)
    clock.now += 60
    speaker.warn("a")

    assert stream.getvalue().splitlines() == ["csm-otel: a", "csm-otel: b", "csm-otel: a"]


@pytest.mark.usefixtures("clock")
def test_any_number_of_kinds(stream: io.StringIO) -> None:
    """Kinds without end are all said, and not all remembered."""
    speaker = Speaker(stream)
    for number in range(1000):
        speaker.warn("x", kind=str(number))

    assert len(stream.getvalue().splitlines()) == 1000
    assert len(speaker._repeats._last) <= 101


def test_a_closed_stream(stream: io.StringIO) -> None:
    """Nobody listening is no reason to fail."""
    stream.close()
    speaker = Speaker(stream, held=True)

    speaker.say("held")
    speaker.release()
    speaker.warn("said")

    assert stream.closed


def test_a_broken_pipe() -> None:
    """A reader that has gone is no reason to fail."""
    reader, writer = os.pipe()
    os.close(reader)
    pipe = open(writer, "w", encoding="utf-8")  # ruff: ignore[builtin-open, open-file-with-context-handler]

    Speaker(pipe).say("x")
    Speaker(pipe).say("y")

    with pytest.raises(BrokenPipeError):  # what was not written is still in its buffer
        pipe.close()


def test_an_ascii_stream() -> None:
    """What a stream cannot show is shown as far as it can."""
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="ascii") as stream:
        Speaker(stream).say("Büro 漢字 \udcff")

        assert raw.getvalue() == b"csm-otel: B?ro ?? ?\n"


def test_a_stream_without_an_encoding() -> None:
    """A stream that names no encoding gets ASCII."""
    stream = io.StringIO()
    Speaker(stream).say("Büro")

    assert stream.getvalue() == "csm-otel: B?ro\n"


def test_without_stderr() -> None:
    """A process that was started with stderr closed has nowhere to speak to, and lives on."""
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


def test_once_a_minute() -> None:
    """The same kind is news once a minute, whatever comes between."""
    repeats = Repeats()
    assert [repeats.is_news("a", now=now) for now in (0.0, 59.9, 60.0, 119.9, 120.0)] == [
        True,
        False,
        True,
        False,
        True,
    ]
    assert repeats.is_news("b", now=120.0)


def test_repeats_are_remembered_of_a_bounded_number_of_kinds() -> None:
    """Kinds without end are all news, and not all remembered."""
    repeats = Repeats()
    assert all(repeats.is_news(str(number), now=0.0) for number in range(1000))
    assert len(repeats._last) <= 100
