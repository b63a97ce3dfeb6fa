"""The command line: commands, flags and their help pages, generated from the declared settings. Standard library only.

The fault of a value has the same text, whether it was given by flag or by variable.
"""

from __future__ import annotations

import argparse
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from csm_otel import __version__
from csm_otel.config.setting import OneOf, Option, Unusable
from csm_otel.config.settings import COMMANDS, GROUPS, SETTINGS
from csm_otel.errors import Fault, SettingsError, quoted

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from csm_otel.config.setting import Setting

# argparse looks for translations of its own texts, of which there are none, and loads `locale` for that: 1.5 ms.
argparse._ = str  # type: ignore[attr-defined]

FLAGS_OF = {
    command: tuple(setting for setting in SETTINGS.values() if setting.option and command in setting.option.commands)
    for command in COMMANDS
}
"""The flags of each command."""


class _Page(NamedTuple):
    """The head of a command's help page."""

    summary: str
    usage: str
    examples: tuple[str, str]


_PAGES = {
    "serve": _Page(
        "receive from every script on this machine",
        "csm-otel serve [options]",
        ("csm-otel serve", "csm-otel serve --group process --spool /var/lib/csm-otel"),
    ),
    "exec": _Page(
        "run one command and trace its AWS calls",
        "csm-otel exec [options] -- COMMAND [ARG...]",
        ("csm-otel exec -- python script.py", "csm-otel exec --name nightly --record nightly.ndjson -- ./nightly.sh"),
    ),
    "env": _Page(
        "print the variables that make scripts send to a daemon",
        "csm-otel env [options]",
        ("csm-otel env --name nightly", "csm-otel env --format fish"),
    ),
    "replay": _Page(
        "export a recording, with its original times",
        "csm-otel replay [options] FILE",
        ("csm-otel replay nightly.ndjson", "csm-otel replay --speed 10 --group process nightly.ndjson"),
    ),
    "report": _Page(
        "report on files: recordings, spans in OTLP/JSON, spools",
        "csm-otel report [options] INPUT [INPUT...]",
        ("csm-otel report nightly.ndjson", "csm-otel report --report nightly.html spans.jsonl /var/lib/csm-otel"),
    ),
    "flush": _Page(
        "have the daemon deliver what has arrived",
        "csm-otel flush [options]",
        ("csm-otel flush --timeout 5", "csm-otel flush --control /run/csm-otel/control.sock"),
    ),
    "health": _Page(
        "check whether the daemon is alive, or ready",
        "csm-otel health [options]",
        ("csm-otel health", "csm-otel health --check ready --health 31001"),
    ),
    "doctor": _Page(
        "find out why calls are not traced",
        "csm-otel doctor [options] [-- COMMAND [ARG...]]",
        ("csm-otel doctor", "csm-otel doctor --canary -- python script.py"),
    ),
}
_PROGRAM = _Page(
    "traces of AWS calls from unmodified scripts: AWS SDK Client Side Monitoring to OpenTelemetry",
    "csm-otel COMMAND [options]",
    ("csm-otel exec -- python script.py", "csm-otel serve"),
)
_FEWEST_IN_GROUPS = 6  # fewer options need no headings, and those of flush and health all concern a running daemon


class CommandLine(NamedTuple):
    """The parsed command line."""

    subcommand: str
    flags: dict[str, Any]
    """By field; None: not given, or not usable."""
    command: list[str]
    """Of `exec` and `doctor`."""
    inputs: list[Path]
    """Of `replay`, which has one, and of `report`."""
    faults: list[Fault]
    """Of each flag that cannot be used."""


def read_command_line(words: Sequence[str]) -> CommandLine:
    """Parse the command line; every flag not given is None, so that its variable applies.

    Raises:
        SettingsError: a command or a value is missing.
    """
    # Words after "--" are the command's; argparse would search them for our flags.
    at = list(words).index("--") if "--" in words else len(words)
    # Other commands than that of the words are left out, which saves `exec` their time.
    listed = words[:1] if words and words[0] in _PAGES else tuple(_PAGES)
    namespace, others = _build_parser(listed, words[:at]).parse_known_args(words[:at])
    given = vars(namespace)
    subcommand, inputs, command = given.pop("subcommand"), given.pop("inputs", []), given.pop("command", [])
    unusable = {field: value for field, value in given.items() if isinstance(value, Unusable)}
    faults = [SETTINGS[field].fault(value, by_flag=True) for field, value in unusable.items()]
    flags = {field: None if field in unusable else value for field, value in given.items()}
    if unknown := [word.partition("=")[0] for word in others if word.startswith("-")]:
        see = f"{subcommand} has no such flag; see csm-otel {subcommand} --help"
        faults += [Fault(_shown(word), see) for word in unknown]
    elif others and subcommand == "report":  # inputs behind a flag that is behind inputs
        inputs += map(Path, others)
    elif others:  # else it may be the value of such a flag
        faults.append(_no_argument(subcommand, others[0]))
    command += words[at:] if command else words[at + 1 :]  # a "--" after the command's name belongs to the command
    if subcommand == "exec":
        if not command:
            faults.append(Fault("exec", "a command is needed: csm-otel exec -- COMMAND [ARG...]"))
        for field in ("file", "record"):
            if flags[field] == Path("-"):
                faults.append(Fault(SETTINGS[field].flag, "stdout is the command's; exec needs a file"))
    elif command and subcommand != "doctor":
        faults.append(_no_argument(subcommand, command[0]))
    return CommandLine(subcommand, flags, command, inputs, faults)


def _no_argument(subcommand: str, word: str) -> Fault:
    return Fault("", f"{subcommand} takes no such argument: {_shown(word)}")


def _shown(word: str) -> str:
    return word if quoted(word) == repr(word) else quoted(word)


_IN_QUOTES = re.compile(r"'([^']*)'")


class _Parser(argparse.ArgumentParser):
    """Raises on errors, instead of printing its usage and exiting."""

    def __init__(self, page: _Page, **given: Any) -> None:
        examples = "\n".join(f"  {line}" for line in page.examples)
        super().__init__(
            usage=page.usage,
            description=f"{page.summary[0].upper()}{page.summary[1:]}.\n\nexamples:\n{examples}",
            formatter_class=_Formatter,
            allow_abbrev=False,
            **given,
        )

    def format_help(self) -> str:
        self.formatter_class = partial(_Formatter, width=None)  # the terminal's
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        message = _IN_QUOTES.sub(lambda found: quoted(found[1]), message.removeprefix("argument "))
        raise SettingsError([Fault("", f"{message}; see {self.prog} --help")])


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the description's line breaks, and widens the column of options.

    argparse makes one for each flag. To ask for the terminal's width it imports more than the rest of the parser does.
    """

    def __init__(self, prog: str, width: int | None = 80) -> None:
        super().__init__(prog, max_help_position=32, width=width)


def whole_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands and their flags, for what is generated from it."""
    return _build_parser(tuple(_PAGES), _PAGES)


def _build_parser(listed: Sequence[str], filled: Container[str]) -> argparse.ArgumentParser:
    """Return the parser with the listed commands; those not in ``filled`` have no flags yet."""
    parser = _Parser(_PROGRAM, prog="csm-otel")
    parser.add_argument("--version", action="version", version=f"csm-otel {__version__}")
    commands = parser.add_subparsers(
        dest="subcommand",
        metavar="COMMAND",
        required=True,
        title="commands",
        description="Each has its own page: csm-otel COMMAND --help",
        prog="csm-otel",
    )
    for command in listed:
        page = _PAGES[command]
        of_command = commands.add_parser(command, help=page.summary, page=page)
        if command not in filled:
            continue
        _add_options(of_command, command)
        if command in {"exec", "doctor"}:
            of_command.add_argument(
                "command", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command and its arguments"
            )
        if command == "replay":
            of_command.add_argument(
                "inputs", nargs=1, type=Path, metavar="FILE", help="what --record wrote; - is stdin"
            )
        if command == "report":
            of_command.add_argument(
                "inputs",
                nargs="+",
                type=Path,
                metavar="INPUT",
                help="what --record, --file or a collector's file exporter wrote, or the folder of --spool; - is stdin",
            )
    return parser


def _add_options(parser: argparse.ArgumentParser, command: str) -> None:
    settings = FLAGS_OF[command]
    if len(settings) < _FEWEST_IN_GROUPS:
        for setting in settings:
            _add(parser, setting, command)
        return
    for title in GROUPS:
        members = [setting for setting in settings if setting.option and setting.option.group == title]
        if members:
            group = parser.add_argument_group(title)
            for setting in members:
                _add(group, setting, command)


def _add(parser: argparse._ActionsContainer, setting: Setting, command: str) -> None:
    option = setting.option
    assert option is not None
    meaning = option.help_of.get(command, option.help)
    text = f"{meaning} (default: {shown_default(setting, option, command)}) [{setting.variable}]"
    text = text.replace("`", "").replace("%", "%%")
    if setting.kind is bool:
        parser.add_argument(setting.flag, action=argparse.BooleanOptionalAction, default=None, help=text)
    else:
        choices = setting.reader.words if isinstance(setting.reader, OneOf) else ()
        metavar = option.metavar or "{" + ",".join(choices) + "}"
        action = _AddToList if option.is_list else "store"
        parser.add_argument(setting.flag, type=_Value(setting), action=action, metavar=metavar, default=None, help=text)


def shown_default(setting: Setting, option: Option, command: str) -> str:
    """Return the default of a setting for a command, as displayed."""
    default = setting.default_of(command)
    if default in (None, ""):
        return option.unset or "unset"
    text = f"{default:g}" if isinstance(default, float) else str(default)
    text = text.lower() if isinstance(default, bool) else text
    return f"{text}, {option.note}" if option.note else text


class _AddToList(argparse.Action):
    """Adds the value of a repeated flag to the former ones, and reads all of it again; of unusable ones the first."""

    def __call__(self, _parser: object, namespace: argparse.Namespace, value: Any, _flag: object = None) -> None:
        former = getattr(namespace, self.dest)
        if isinstance(former, Unusable):
            return
        is_further = former is not None and not isinstance(value, Unusable)
        assert isinstance(self.type, _Value)
        setattr(namespace, self.dest, self.type(f"{former},{value}") if is_further else value)


class _Value:
    """Parses a flag's value, or returns `Unusable`: argparse would stop at the first."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def __call__(self, text: str) -> object:
        return self._setting.read(text)
