"""``csm-otel replay``: a recording through the same pipeline, with the recording as its clock.

The spans depend on the recording and the settings alone, ids included: not on when or how fast it is replayed.
A file may hold several recordings, one after the other; each is replayed to its end, with its own delivery and tally.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from csm_otel.commands.input_lines import InputLines, open_input
from csm_otel.commands.player import Player
from csm_otel.commands.recording_reader import RecordingReader
from csm_otel.errors import RecordingError
from csm_otel.files.recording import MAX_LINE_BYTES
from csm_otel.process.stop import StopSignal
from csm_otel.report.stdout import Stdout
from csm_otel.report.tally import render_tally

if TYPE_CHECKING:
    from pathlib import Path

    from csm_otel.config.configuration import Configuration
    from csm_otel.process.speaker import Speaker

_SIGNAL_EXIT = 128


def replay(path: Path, configuration: Configuration, speaker: Speaker) -> int:
    """Replay a recording (``-``: stdin) and return 0, or 128+n if signal n has stopped it before its end.

    Raises:
        SettingsError: a file, certificate or sampler that is asked for cannot be used.
        InputError: the file cannot be read.
        RecordingError: it is no recording.
    """
    stop = StopSignal(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    with open_input(path, stop) as stream:
        lines = InputLines(stream, path, stop, max_line_bytes=MAX_LINE_BYTES)
        reader = RecordingReader(lines)
        heading = reader.next_heading()
        if heading is None and not stop.is_set():
            raise RecordingError(f"{path} is no recording: {lines.fault or 'it is empty'}")
        while heading is not None and not stop.is_set():
            stdout = Stdout(say=speaker.warn, environ=os.environ)
            player = Player(heading, configuration, speaker, show=stdout.show)
            player.play(reader, stop)
            stdout.flush()
            speaker.write(render_tally(player.tally, seconds=player.seconds))
            heading = reader.next_heading()
        if lines.skipped:
            speaker.say(lines.skipped_text)
    return _SIGNAL_EXIT + stop.number if stop.number else 0
