"""Shell scripts to the commands that they seem to run: `commands_in`. Nothing is expanded, and nothing is run."""

from __future__ import annotations

import re
import shlex
from itertools import dropwhile

_ASSIGNMENT = re.compile(r"\w+=")
_LEADING = ("if", "then", "else", "elif", "while", "until", "do", "!", "{", "(", "exec", "time")
_SEPARATORS = frozenset("();<>|&")
_MAX_COMMANDS = 2_000


def commands_in(script: str) -> list[list[str]]:
    """Return the words of each command, without assignments and keywords before it; the first 2,000 of them.

    Lines that cannot be split, as they are part of a longer text, have none.
    """
    commands: list[list[str]] = []
    for line in script.replace("\\\n", " ").splitlines():
        commands += _commands_of(line)
        if len(commands) >= _MAX_COMMANDS:
            break
    return commands[:_MAX_COMMANDS]


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
