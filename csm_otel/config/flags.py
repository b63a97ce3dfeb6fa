"""The command line: commands, flags and their words. Standard library only.

`csm_otel.config.settings` has the defaults.

Bounds are here as well as there: a number that is out of them must not start the command of `exec`. What is wrong with
a value has the same words, whether it came by flag or by variable.
"""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from csm_otel import __version__
from csm_otel.errors import SettingsError, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence


class Flag(NamedTuple):
    """A flag: the field of `Settings` it sets, its metavar, and its line of help."""

    field: str
    metavar: str | None
    help: str
    type: type[str | bool | int | float | Path] = str
    choices: tuple[str, ...] = ()
    lowest: float = 0
    highest: float = math.inf

    @property
    def name(self) -> str:
        """The flag as it is typed."""
        return f"--{self.field.replace('_', '-')}"

    def fault_of(self, text: str) -> str:
        """Return what is wrong with a text as its value; empty where nothing is."""
        if self.choices:
            return "" if text in self.choices else f"{quoted(text)} is none of {', '.join(self.choices)}"
        if self.type is bool:
            return "" if text.lower() in ("true", "false") else f"{quoted(text)} is neither true nor false"
        if self.type is int or self.type is float:
            return fault_of_number(text, self.type, lowest=self.lowest, highest=self.highest)
        return ""


class _Wrong(NamedTuple):
    """Stands in the place of a value that cannot be used."""

    fault: str


class CommandLine(NamedTuple):
    """What was typed."""

    subcommand: str
    flags: dict[str, Any]
    """By field; None: not given, or not usable."""
    command: list[str]
    """Of `exec`."""
    recording: Path
    """Of `replay`, else empty."""
    faults: list[str]
    """A line for each flag that cannot be used."""


def fault_of_number(text: str, kind: type[int | float], *, lowest: float, highest: float = math.inf) -> str:
    """Return what is wrong with a text as a number within bounds; empty where nothing is."""
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if lowest <= value <= highest:
        return ""
    limits = f"from {lowest:.12g} to {highest:.12g}" if highest < math.inf else f"of {lowest:.12g} or more"
    return f"{quoted(text)} is not a {'whole number' if kind is int else 'number'} {limits}"


_MIB = 1024 * 1024

COMMON_FLAGS = (
    Flag("file", "PATH", "also write OTLP JSON lines to this file", Path),
    Flag(
        "grace_seconds",
        "S",
        "how long a call waits for late attempts, or for calls that compete for its own",
        float,
        highest=60,
    ),
    Flag("attempt_wait_seconds", "S", "how long an attempt waits for its call", float, lowest=1, highest=86_400),
    Flag("pending_events", "N", "most events that wait for their call", int, lowest=1),
    Flag("pending_bytes", "N", "most bytes of events that wait for their call", int, lowest=_MIB),
    Flag("timestamps", None, "what CSM timestamps mark", choices=("auto", "start", "end")),
    Flag("messages", None, "what becomes of error messages", choices=("redacted", "none")),
    Flag("account_id", None, "export the account that the access key belongs to", bool),
    Flag("user_agent", None, "export the user agent", bool),
    Flag("peer_service", None, "export peer.service on calls", bool),
    Flag("trust_remote_context", None, "join trace contexts that other hosts send in the client id", bool),
    Flag("queue_bytes", "N", "most bytes that wait for the back end", int, lowest=_MIB),
    Flag("spool", "DIR", "keep what waits for the back end in this folder, not in memory", Path),
    Flag("spool_bytes", "N", "most bytes that wait there", int, lowest=_MIB),
    Flag("drain_seconds", "S", "how long delivery may take at the end", float, highest=3600),
)
RECEIVE_FLAGS = (
    Flag("receive_buffer_bytes", "N", "receive buffer to ask the kernel for", int, lowest=4096, highest=2**30),
    Flag("record", "PATH", "keep what arrives in this file, without its secrets, for `csm-otel replay`", Path),
)
GROUP_FLAGS = (
    Flag("group", None, "what makes one trace: each call, or each process (Linux)", choices=("call", "process")),
)
REPLAY_FLAGS = (
    Flag("speed", "N", "N times as fast as it was (default: as fast as it goes)", float, lowest=0.001, highest=10**6),
)
SERVE_FLAGS = (
    Flag("host", "HOST", "address to listen on (default: 127.0.0.1, and ::1 where IPv6 exists)"),
    Flag("port", "PORT", "UDP port to listen on; 0 takes a free one on 127.0.0.1", int, highest=65_535),
    Flag("allow_remote", None, "allow an address that other hosts can reach", bool),
    Flag("allow_from", "CIDR[,CIDR...]", "take other hosts' datagrams from these networks only"),
    Flag(
        "health",
        "PORT",
        "answer /healthz and /readyz on this TCP port of 127.0.0.1; 0 takes a free one",
        int,
        highest=65_535,
    ),
    Flag(
        "report_seconds", "S", "how often to say what was counted, if anything changed; 0: never", float, highest=86_400
    ),
)
CONTROL_FLAGS = (Flag("control", "PATH", "socket of the daemon for `csm-otel flush`; none: without it", Path),)
FLUSH_FLAGS = (
    Flag("port", "PORT", "UDP port of the daemon", int, highest=65_535),
    Flag("timeout", "S", "how long it may take", float, highest=3600),
)
EXEC_FLAGS = (
    Flag("name", "NAME", "the application's name, service.name (default: the command's script, else its program)"),
    Flag("quiet", None, "print nothing", bool),
    Flag("output", "FILE", "print waterfall and tally there, not to stderr", Path),
    Flag("command_args", None, "export the command's arguments", bool),
)
FLAGS_OF = {
    "serve": (*SERVE_FLAGS, *CONTROL_FLAGS, *GROUP_FLAGS, *RECEIVE_FLAGS, *COMMON_FLAGS),
    "exec": (*EXEC_FLAGS, *RECEIVE_FLAGS, *COMMON_FLAGS),
    "replay": (*REPLAY_FLAGS, *GROUP_FLAGS, *COMMON_FLAGS),
    "flush": (*CONTROL_FLAGS, *FLUSH_FLAGS),
}
FLAG_OF_FIELD = {flag.field: flag for flags in FLAGS_OF.values() for flag in flags}


def read_command_line(words: Sequence[str]) -> CommandLine:
    """Return what was typed; every flag that is not given is None, so that its variable holds.

    Raises:
        SettingsError: it cannot be told apart: a command or a value is missing.
    """
    # What is behind "--" is the command's; argparse would look for our flags in it.
    at = list(words).index("--") if "--" in words else len(words)
    namespace, others = _build_parser().parse_known_args(words[:at])
    given = vars(namespace)
    subcommand, recording, command = given.pop("subcommand"), given.pop("recording", Path()), given.pop("command", [])
    faults = [f"{FLAG_OF_FIELD[field].name}: {value.fault}" for field, value in given.items() if _is_wrong(value)]
    flags = {field: None if _is_wrong(value) else value for field, value in given.items()}
    if unknown := [word.partition("=")[0] for word in others if word.startswith("-")]:
        faults += [
            f"{_shown(word)}: {subcommand} has no such flag; see csm-otel {subcommand} --help" for word in unknown
        ]
    elif others:  # else it may be the value of such a flag
        faults.append(f"{subcommand} takes no such argument: {_shown(others[0])}")
    command += words[at:] if command else words[at + 1 :]  # a "--" behind the command's name is its own
    if subcommand == "exec":
        if not command:
            faults.append("exec: a command is needed: csm-otel exec -- COMMAND [ARG...]")
        if flags["record"] == Path("-"):
            faults.append("--record: stdout is the command's; exec needs a file")
    elif command:
        faults.append(f"{subcommand} takes no such argument: {_shown(command[0])}")
    return CommandLine(subcommand, flags, command, recording, faults)


def _shown(word: str) -> str:
    return word if quoted(word) == repr(word) else quoted(word)


def _is_wrong(value: object) -> bool:
    return isinstance(value, _Wrong)


_IN_QUOTES = re.compile(r"'([^']*)'")


class _Parser(argparse.ArgumentParser):
    """Raises what it cannot go on with, rather than to print its usage and exit."""

    def error(self, message: str) -> NoReturn:
        message = _IN_QUOTES.sub(lambda found: quoted(found[1]), message.removeprefix("argument "))
        raise SettingsError([f"{message}; see {self.prog} --help"])


def _build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="csm-otel",
        description="Traces of AWS calls from unmodified scripts: AWS SDK Client Side Monitoring to OpenTelemetry.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"csm-otel {__version__}")
    commands = parser.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    serve = commands.add_parser("serve", help="receive from every script on this machine", allow_abbrev=False)
    _add(serve, FLAGS_OF["serve"])
    run = commands.add_parser(
        "exec",
        help="run one command and trace its AWS calls",
        usage="csm-otel exec [options] -- COMMAND [ARG...]",
        allow_abbrev=False,
    )
    _add(run, FLAGS_OF["exec"])
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command and its arguments")
    replay = commands.add_parser("replay", help="export what was recorded, as it was then", allow_abbrev=False)
    _add(replay, FLAGS_OF["replay"])
    replay.add_argument("recording", type=Path, metavar="FILE", help="what --record wrote; - is stdin")
    flush = commands.add_parser("flush", help="have the daemon deliver what has arrived", allow_abbrev=False)
    _add(flush, FLAGS_OF["flush"])
    return parser


def _add(parser: argparse.ArgumentParser, flags: tuple[Flag, ...]) -> None:
    for flag in flags:
        if flag.type is bool:
            parser.add_argument(flag.name, action=argparse.BooleanOptionalAction, default=None, help=flag.help)
        else:
            metavar = flag.metavar or "{" + ",".join(flag.choices) + "}"
            parser.add_argument(flag.name, type=_Value(flag), metavar=metavar, default=None, help=flag.help)


class _Value:
    """Makes a flag's value of a text, or `_Wrong`: argparse would stop at the first."""

    def __init__(self, flag: Flag) -> None:
        self._flag = flag

    def __call__(self, text: str) -> object:
        fault = self._flag.fault_of(text)
        return _Wrong(fault) if fault else self._flag.type(text)
