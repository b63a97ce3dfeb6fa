"""Generates what the wheel installs below ``share``: completion for bash, zsh and fish, and the manual page.

They are made of the parser of the command line as the wheel is built, so they have its flags, and none of them is in
the repository. hatchling runs this file (pyproject.toml). ``python scripts/build_hook.py FOLDER`` writes them to a
folder, where a wheel is of no use.
"""

from __future__ import annotations

import os
import re
import sys
import time
from argparse import SUPPRESS, _SubParsersAction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import shtab
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    from argparse import Action, ArgumentParser
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # hatchling runs this file where the package is not installed

from csm_otel import __version__  # ruff: ignore[module-import-not-at-top-of-file]
from csm_otel.config.flags import whole_parser  # ruff: ignore[module-import-not-at-top-of-file]
from csm_otel.config.setting import OneOf  # ruff: ignore[module-import-not-at-top-of-file]
from csm_otel.config.settings import SETTINGS  # ruff: ignore[module-import-not-at-top-of-file]

COMPLETIONS = {
    "bash": "share/bash-completion/completions/csm-otel",
    "zsh": "share/zsh/site-functions/_csm-otel",
    "fish": "share/fish/vendor_completions.d/csm-otel.fish",
}
MANUAL = "share/man/man1/csm-otel.1"

# Words behind "--" are those of another command, whose flags may have names of ours. zsh has `_normal` for that, fish
# `complete -C`, bash-completion `_command_offset`; bash alone has the names of commands, then those of files.
_OF_A_COMMAND = {
    "bash": r"""
_csm_otel() {
  local at
  for (( at = 1; at < COMP_CWORD; at++ )); do
    [[ ${COMP_WORDS[at]} == -- ]] || continue
    if declare -F _command_offset >/dev/null; then
      _command_offset $(( at + 1 ))
    elif (( at + 1 == COMP_CWORD )); then
      mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
    fi
    return
  done
  _shtab_csm_otel "$@"
}

complete -o bashdefault -o default -F _csm_otel csm-otel
""",
    "zsh": """
_csm_otel_command() {
  [[ $words[1] == -- ]] && { shift words; (( CURRENT -= 1 )) }
  _normal
}
""",
    "fish": """
function _csm_otel_command
  set -l words (commandline -opc)
  set -l at (contains -i -- -- $words); or return
  complete -C (string join -- ' ' (string escape -- $words[(math $at + 1)..]) (commandline -ct))
end
""",
}


class ShareHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the generated files to a wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Generate them for the builder, in a folder that is removed after the build."""
        del version
        self._folder = TemporaryDirectory()
        for name, text in files().items():
            path = Path(self._folder.name, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            build_data["shared_data"][str(path)] = name

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the folder."""
        del version, build_data, artifact_path
        self._folder.cleanup()


def files() -> dict[str, str]:
    """Return the text of each file, by its path below the prefix of the installation."""
    return {**{path: completion(shell) for shell, path in COMPLETIONS.items()}, MANUAL: manual()}


def completion(shell: str) -> str:
    """Return the completion script for a shell: commands, flags, words of a choice, files, folders."""
    parser = whole_parser()
    for one in _parsers(parser):
        for action in one._actions:
            _say_how_to_complete(action)
    if shell == "bash":  # replaces the function that shtab registers, and calls it
        return shtab.complete(parser, shell) + _OF_A_COMMAND[shell]
    # shtab lets zsh complete but the first of several arguments
    return shtab.complete(parser, shell, preamble=_OF_A_COMMAND[shell]).replace('  "(*):', '  "*:')


def _say_how_to_complete(action: Any) -> None:
    setting = SETTINGS.get(action.dest)
    if action.metavar:
        action.metavar = action.metavar.replace(
            ":", r"\:"
        )  # separates the parts of an option for zsh; others ignore it
    if action.dest == "command":
        action.complete = {"zsh": "_csm_otel_command", "fish": "(_csm_otel_command)"}
    elif action.dest == "inputs":
        action.complete = shtab.FILE
    elif setting is not None and isinstance(setting.reader, OneOf):
        action.choices = setting.reader.words
    elif setting is not None and setting.kind is Path:
        action.complete = shtab.DIRECTORY if action.metavar == "DIR" else shtab.FILE


def _parsers(parser: ArgumentParser) -> Iterator[ArgumentParser]:
    """Yield a parser and those of its commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, _SubParsersAction):
            for of_command in action.choices.values():
                yield from _parsers(of_command)


def manual() -> str:
    """Return the manual page in the macros of man(7); its date is that of SOURCE_DATE_EPOCH, or it has none."""
    program, *commands = _parsers(whole_parser())
    title = str(program.description).partition(".\n")[0]
    examples: dict[str, None] = {}  # of the program and of its commands, each once
    lines = [f'.TH CSM\\-OTEL 1 "{_date()}" "csm\\-otel {__version__}" "User Commands"']
    lines += [".nh", ".ad l", ".SH NAME", _roff(f"csm-otel - {title}")]
    lines += [".SH SYNOPSIS", ".nf", *(_roff(str(parser.usage)) for parser in commands)]
    lines += ["csm\\-otel \\-\\-help | \\-\\-version", ".fi", ".SH COMMANDS"]
    for parser in commands:
        summary, _, below = str(parser.description).partition("\n\nexamples:\n")
        examples |= dict.fromkeys(re.findall(r"\S.*", below))
        lines += [f".SS {_roff(parser.prog)}", _roff(summary)]
        for group in parser._action_groups:
            options = [line for action in group._group_actions for line in _option(parser, action)]
            lines += [".PP", _roff(f"{group.title}:".capitalize()), *options] if options else []
    lines.append(".SH EXIT STATUS")
    for command, code, reason in _exit_codes():
        lines += [".TP", _roff(f"{command}: {code}"), _roff(reason)]
    return "\n".join([*lines, ".SH EXAMPLES", ".nf", *map(_roff, examples), ".fi", ""])


def _option(parser: ArgumentParser, action: Action) -> list[str]:
    """Return the lines of a flag or an argument, none of ``--help``."""
    if action.default == SUPPRESS or not action.help:
        return []
    names = ", ".join(rf"\fB{_roff(name)}\fR" for name in action.option_strings)
    value = rf"\fI{_roff(str(action.metavar))}\fR" if action.metavar else ""
    return [".TP", f"{names} {value}".strip(), _roff(action.help % {"prog": parser.prog})]


def _date() -> str:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return time.strftime("%B %d, %Y", time.gmtime(int(epoch))) if epoch else ""


def _exit_codes() -> list[tuple[str, str, str]]:
    """Return command, code and reason of each row of docs/exit-codes.md."""
    table = (ROOT / "docs/exit-codes.md").read_text(encoding="utf-8")
    return re.findall(r"^\| ([a-z]+) \| (.+?) \| (.+?) \|", table.replace("`", ""), re.MULTILINE)


def _roff(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-")


def main() -> int:
    """Write the files to a folder."""
    for name, text in files().items():
        path = Path(sys.argv[1], name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
