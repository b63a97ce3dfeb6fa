"""The command line: which command, and with what exit code it ends.

Standard library only: what `exec` does not need before its command runs is imported later.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from csm_otel.config.flags import CommandLine, read_command_line
from csm_otel.errors import ControlError, InputError, ListenError, SettingsError
from csm_otel.process.garbage import begin_collection
from csm_otel.process.speaker import Speaker, silence_libraries

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from csm_otel.errors import Fault

EXIT_FAILURE = 1
EXIT_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``csm-otel`` and return its exit code (docs/exit-codes.md)."""
    try:
        line = read_command_line(sys.argv[1:] if arguments is None else arguments)
        if line.subcommand != "exec":
            return _run(line)
    except SettingsError as error:
        return _refuse(error.faults)
    if line.faults:
        return _refuse(line.faults)
    from csm_otel.commands.exec import run_command  # ruff: ignore[import-outside-top-level] - each command loads only what it needs

    code = run_command(line.command, line.flags)
    if arguments is None:
        os._exit(code)  # no thread left behind, no library's cleanup may delay or change the command's result
    return code


def _run(line: CommandLine) -> int:
    """Run a command that needs its whole configuration first.

    Raises:
        SettingsError: with all faults of flags and variables, or with those found as files were opened.
    """
    begin_collection()
    silence_libraries()
    speaker = Speaker()
    try:
        if line.subcommand == "env":
            return _env(line, speaker)
        if line.subcommand == "health":
            return _health(line)
        if line.subcommand == "doctor":
            return _doctor(line)
        if line.subcommand == "report":
            return _report(line, speaker)
        return _flush(line, speaker) if line.subcommand == "flush" else _export(line, speaker)
    except (ControlError, InputError, ListenError) as error:
        speaker.say(str(error))
        return EXIT_FAILURE


def _export(line: CommandLine, speaker: Speaker) -> int:
    from csm_otel.config.configuration import read_configuration  # ruff: ignore[import-outside-top-level]
    from csm_otel.config.environment import remove_variables  # ruff: ignore[import-outside-top-level]

    configuration, faults = read_configuration(line.subcommand, line.flags)
    _check([*line.faults, *faults])
    remove_variables()
    if line.subcommand == "serve":
        from csm_otel.commands.serve import serve  # ruff: ignore[import-outside-top-level]

        return serve(configuration, speaker)
    from csm_otel.commands.replay import replay  # ruff: ignore[import-outside-top-level]

    return replay(line.inputs[0], configuration, speaker)


def _report(line: CommandLine, speaker: Speaker) -> int:
    from csm_otel.commands.report import report  # ruff: ignore[import-outside-top-level]
    from csm_otel.config.configuration import configuration_of_report  # ruff: ignore[import-outside-top-level]
    from csm_otel.config.environment import remove_variables  # ruff: ignore[import-outside-top-level]

    configuration, faults = configuration_of_report(line.flags)
    _check([*line.faults, *faults])
    remove_variables()
    return report(line.inputs, configuration, speaker)


def _flush(line: CommandLine, speaker: Speaker) -> int:
    from csm_otel.commands.flush import flush  # ruff: ignore[import-outside-top-level]
    from csm_otel.config.early import read_settings_of  # ruff: ignore[import-outside-top-level] - a job waits for it

    settings, faults = read_settings_of("flush", line.flags, os.environ)
    _check([*line.faults, *faults])
    return flush(settings, speaker)


def _env(line: CommandLine, speaker: Speaker) -> int:
    from csm_otel.commands.env import env  # ruff: ignore[import-outside-top-level]
    from csm_otel.config.early import read_early, read_settings_of  # ruff: ignore[import-outside-top-level]

    settings, faults = read_settings_of("env", line.flags, os.environ)
    _check([*line.faults, *faults])
    return env(settings, read_early(line.flags, os.environ), os.environ, speaker)


def _health(line: CommandLine) -> int:
    from csm_otel.commands.health import health  # ruff: ignore[import-outside-top-level]
    from csm_otel.config.early import read_settings_of  # ruff: ignore[import-outside-top-level]

    settings, faults = read_settings_of("health", line.flags, os.environ)
    _check([*line.faults, *faults])
    return health(settings)


def _doctor(line: CommandLine) -> int:
    from csm_otel.commands.doctor import doctor  # ruff: ignore[import-outside-top-level]
    from csm_otel.config.configuration import read_configuration  # ruff: ignore[import-outside-top-level]
    from csm_otel.config.environment import remove_variables  # ruff: ignore[import-outside-top-level]

    _check(line.faults)
    environ = dict(os.environ)
    configuration, faults = read_configuration("exec", line.flags)
    remove_variables()
    return doctor(configuration, faults, line.command, environ)


def _check(faults: Sequence[Fault]) -> None:
    if faults:
        raise SettingsError(faults)


def _refuse(faults: Iterable[Fault]) -> int:
    speaker = Speaker()
    for fault in faults:
        speaker.say(str(fault))
    return EXIT_USAGE
