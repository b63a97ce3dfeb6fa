"""The command line: which command, and with what exit code it ends.

Standard library only: what `exec` needs not before its command runs is imported later.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from csm_otel.config.flags import CommandLine, read_command_line
from csm_otel.errors import ControlError, ListenError, RecordingError, SettingsError
from csm_otel.process.speaker import Speaker, silence_libraries

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EXIT_FAILURE = 1
EXIT_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``csm-otel`` and return its exit code (docs: README, Exit codes)."""
    try:
        line = read_command_line(sys.argv[1:] if arguments is None else arguments)
    except SettingsError as error:
        return _refuse(error.faults)
    if line.subcommand != "exec":
        return _run(line) if not line.faults else _refuse([*line.faults, *_faults_beside(line)])
    if line.faults:
        return _refuse(line.faults)
    from csm_otel.commands.exec import run_command  # ruff: ignore[import-outside-top-level] - each command loads only what it needs

    return run_command(line.command, line.flags)


def _run(line: CommandLine) -> int:
    silence_libraries()
    speaker = Speaker()
    try:
        if line.subcommand == "serve":
            from csm_otel.commands.serve import serve  # ruff: ignore[import-outside-top-level]

            return serve(line.flags, speaker)
        if line.subcommand == "flush":
            from csm_otel.commands.flush import flush  # ruff: ignore[import-outside-top-level]

            return flush(line.flags, speaker)
        from csm_otel.commands.replay import replay  # ruff: ignore[import-outside-top-level]

        return replay(line.recording, line.flags, speaker)
    except SettingsError as error:
        return _refuse(error.faults)
    except (ControlError, ListenError, RecordingError) as error:
        speaker.say(str(error))
        return EXIT_FAILURE


def _faults_beside(line: CommandLine) -> Sequence[str]:
    from csm_otel.config.configuration import variable_faults  # ruff: ignore[import-outside-top-level]

    return variable_faults(line.subcommand, line.flags)


def _refuse(faults: Iterable[str]) -> int:
    speaker = Speaker()
    for fault in faults:
        speaker.say(fault)
    return EXIT_USAGE
