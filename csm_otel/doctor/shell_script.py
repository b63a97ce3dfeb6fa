"""Shell scripts to the commands that they seem to run: `commands_in`. Nothing is expanded, and nothing is run."""

from __future__ import annotations

import re
import shlex
from itertools import dropwhile
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_ASSIGNMENT = re.compile(r"\w+=")
_LEADING = ("if", "then", "else", "elif", "while", "until", "do", "!", "{", "(", "exec", "time")
_SEPARATORS = frozenset("();<>|&")
_LONGEST_LINE = 4_096  # characters; what is longer is data, such as the archive of a script that extracts itself
_MAX_CHARACTERS = 64 * 1024  # of the lines that are split, which takes a second for a megabyte


def commands_in(script: str, programs: Collection[str]) -> list[list[str]]:
    """Return the words of each command of these programs, without assignments and keywords before it.

    Lines that cannot be split, as they are part of a longer text, have none, nor have lines that are too long. The
    search ends after 64 KiB of lines that name one of the programs.
    """
    names = re.compile(rf"\b(?:{'|'.join(map(re.escape, programs))})\b")
    commands: list[list[str]] = []
    left = _MAX_CHARACTERS
    for line in script.replace("\\\n", " ").splitlines():
        if len(line) > _LONGEST_LINE or not names.search(line):
            continue
        left -= len(line)
        if left < 0:
            break
        commands += (command for command in _commands_of(line) if PurePath(command[0]).name in programs)
    return commands


def _commands_of(line: str) -> list[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:  # a quotation that goes on in the next line
        return []
    commands: list[list[str]] = [[]]
    for word in words:
        if _SEPARATORS.issuperset(word):
            commands.append([])
        else:
            commands[-1].append(word)
    bare = (list(dropwhile(_is_leading, command)) for command in commands)
    return [command for command in bare if command]


def _is_leading(word: str) -> bool:
    return word in _LEADING or _ASSIGNMENT.match(word) is not None
