"""The command line: which command, and with what exit code it ends.

Standard library only: what `exec` needs not before its command runs is imported later.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csm_otel.errors import ControlError, ListenError, RecordingError, SettingsError
from csm_otel.flags import build_parser
from csm_otel.speaker import Speaker, silence_libraries

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_FAILURE = 1
EXIT_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``csm-otel`` and return its exit code (docs: README, Exit codes)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = build_parser()
    # What is behind "--" is the command's; argparse would look for our flags in it.
    at = given.index("--") if "--" in given else len(given)
    flags = vars(parser.parse_args(given[:at]))
    subcommand, command = flags.pop("subcommand"), flags.pop("command", [])
    command += given[at:] if command else given[at + 1 :]  # a "--" behind the command's name is its own
    if subcommand == "exec":
        if not command:
            parser.error("exec: a command is needed: csm-otel exec -- COMMAND [ARG...]")
        if flags["record"] == Path("-"):
            parser.error("exec: stdout is the command's: --record needs a file")
        from csm_otel.exec import run_command  # ruff: ignore[import-outside-top-level] - each command loads only what it needs

        return run_command(command, flags)
    if command:
        parser.error(f"{subcommand} takes no such arguments: {command[0]}")
    return _run(subcommand, flags)


def _run(subcommand: str, flags: dict[str, Any]) -> int:
    silence_libraries()
    speaker = Speaker()
    try:
        if subcommand == "serve":
            from csm_otel.serve import serve  # ruff: ignore[import-outside-top-level]

            return serve(flags, speaker)
        if subcommand == "flush":
            from csm_otel.flush import flush  # ruff: ignore[import-outside-top-level]

            return flush(flags, speaker)
        from csm_otel.replay import replay  # ruff: ignore[import-outside-top-level]

        return replay(flags.pop("recording"), flags, speaker)
    except SettingsError as error:
        for fault in error.faults:
            speaker.say(fault)
        return EXIT_USAGE
    except (ControlError, ListenError, RecordingError) as error:
        speaker.say(str(error))
        return EXIT_FAILURE
