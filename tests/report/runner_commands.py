"""What the runner of GitHub Actions reads as its commands, after its own ``ActionCommand.cs``: `commands_in`."""

from __future__ import annotations

import re
from typing import NamedTuple

COMMANDS = {"error", "warning", "notice", "debug", "group", "endgroup", "add-mask", "stop-commands", "set-env", "echo"}
"""Those that matter."""
_LINES = re.compile(r"\r\n|\r|\n")


class Command(NamedTuple):
    """A command as the runner has it."""

    name: str
    properties: dict[str, str]
    data: str


def commands_in(output: str) -> list[Command]:
    """Return the commands in the output of a step."""
    return [found for line in _LINES.split(output) if (found := _current(line) or _older(line))]


def _current(line: str) -> Command | None:
    head, separator, data = line.lstrip().removeprefix("::").partition("::")
    name, _, given = head.partition(" ")
    if not line.lstrip().startswith("::") or not separator or name.lower() not in COMMANDS:
        return None
    pairs = (pair.split("=", 1) for pair in given.strip().split(",") if "=" in pair)
    return Command(name, {key: _plain(value, ":,") for key, value in pairs}, _plain(data))


def _older(line: str) -> Command | None:
    found = re.search(r"##\[(?P<head>[^]]*)\](?P<data>.*)", line)
    name = found["head"].partition(" ")[0] if found else ""
    return Command(name, {}, found["data"]) if found and name.lower() in COMMANDS else None


def _plain(text: str, more: str = "") -> str:
    for letter in f"\r\n{more}%":
        text = text.replace(f"%{ord(letter):02X}", letter)
    return text
