"""What a person would call a command: for an interpreter the script it runs, else the program. Never its arguments.

Standard library only: `exec` names its command before anything else is loaded.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_INTERPRETERS = re.compile(r"(?:python|pypy|ruby|php|node|nodejs|perl|bash|dash|zsh|ksh|sh|java)[\d.]*(?:\.exe)?$")
# Options of these interpreters that take the next word with them.
_WITH_VALUE = {
    "python": {"-W", "-X", "-Q", "--check-hash-based-pycs"},
    "pypy": {"-W", "-X"},
    "ruby": {"-r", "-I", "-C", "-E", "-K"},
    "php": {"-c", "-d", "-z", "-S", "-t"},
    "node": {"-r", "--require", "--import", "--loader", "--env-file"},
    "perl": {"-I", "-M", "-m"},
    "java": {"-cp", "-classpath", "--class-path", "-p", "--module-path", "--add-modules", "--add-opens"},
    "bash": {"-o", "-O", "--rcfile", "--init-file"},
    "sh": {"-o"},
}
_WRAPPERS = {"env", "nice", "nohup", "time", "stdbuf", "setsid", "ionice", "chrt", "exec"}


def name_of_command(argv: Sequence[str]) -> str:
    """Return the name of a command line: ``backup.py`` for ``python -u /opt/backup.py --all``, else ``aws``."""
    words = list(argv)
    while len(words) > 1 and PurePath(words[0]).name in _WRAPPERS:
        rest = _behind_wrapper(words[1:])
        if not rest:
            break
        words = rest
    program = PurePath(words[0]).name if words else ""
    interpreter = _INTERPRETERS.fullmatch(program)
    return (interpreter and _script_of(re.sub(r"[\d.]+(?:exe)?$", "", program), words[1:])) or program


def _behind_wrapper(words: list[str]) -> list[str]:
    at = 0
    while at < len(words) and (words[at].startswith("-") or re.match(r"[A-Za-z_]\w*=", words[at])):
        at += 1
    return words[at:]


def _script_of(interpreter: str, words: Sequence[str]) -> str:
    with_value = _WITH_VALUE.get(
        {"nodejs": "node", "dash": "sh", "zsh": "bash", "ksh": "bash"}.get(interpreter, interpreter), set()
    )
    at = 0
    while at < len(words):
        word = words[at]
        following = words[at + 1] if at + 1 < len(words) else ""
        if word == "--":
            return PurePath(following).name
        if interpreter in ("python", "pypy") and word == "-m":
            return following
        if interpreter == "java" and word == "-jar":
            return PurePath(following).name
        if word in ("-c", "-e", "--eval", "-E") and interpreter != "java":
            return ""  # the program is an argument, and arguments are never told
        if not word.startswith("-"):
            return word.rpartition(".")[2] if interpreter == "java" else PurePath(word).name
        at += 2 if word in with_value else 1
    return ""
