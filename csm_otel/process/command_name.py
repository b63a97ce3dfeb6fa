"""What a person would call a command: for an interpreter the script it runs, else the program. Never its arguments.

The options in front of a script are read as its interpreter reads them: behind ``bash -lc`` there is code instead of a
script, and in ``nice -n 10`` the 10 is not the command.
Standard library only: `exec` names its command before anything else is loaded.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from itertools import dropwhile
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class _Role(Enum):
    """What an option means for the words behind it."""

    ALONE = auto()
    """Nothing; the value of a letter may be the rest of its word."""
    VALUE = auto()
    """The next word is its value, unless the rest of its own word is."""
    CODE = auto()
    """No script follows: the program is an argument, or comes from standard input."""
    TARGET = auto()
    """The script, module or command follows, or is the rest of its own word."""


class _Options(NamedTuple):
    """The options of a program that matter here: letters and whole words."""

    roles: Mapping[str, _Role]
    signs: tuple[str, ...]
    """What options begin with."""
    operands: int
    """How many arguments of its own a wrapper has before its command."""


def _options(
    *, alone: str = "", value: str = "", code: str = "-", target: str = "--", signs: str = "-", operands: int = 0
) -> _Options:
    lists = {_Role.ALONE: alone, _Role.VALUE: value, _Role.CODE: code, _Role.TARGET: target}
    roles = {option: role for role, options in lists.items() for option in options.split()}
    return _Options(roles, tuple(signs), operands)


_PYTHON = _options(value="W X Q --check-hash-based-pycs --jit", code="c -", target="m --")
_SHELL = _options(value="o O --rcfile --init-file", code="c s -", signs="-+")
_NODE = _options(
    value="r C --require --import --loader --experimental-loader --env-file --env-file-if-exists --conditions --title",
    code="e p - --eval --print",
)
_INTERPRETERS = {
    "python": _PYTHON,
    "pypy": _PYTHON,
    "ruby": _options(
        alone="i x F K T W",
        value="r I C E --encoding --external-encoding --internal-encoding --enable --disable",
        code="e -",
    ),
    "php": _options(
        value="c d z S t --php-ini --define --zend-extension --server --docroot",
        code="r B R E F - -- --run --process-begin --process-code --process-end --process-file "
        "--rf --rc --re --rz --ri",
        target="f --file",
    ),
    "perl": _options(alone="i F x d D V C", value="I M m", code="e E -"),
    "java": _options(
        value="-cp -classpath --class-path -p --module-path --upgrade-module-path --source --add-modules --add-opens "
        "--add-exports --add-reads --patch-module --limit-modules --enable-native-access",
        target="-jar -m --module",
    ),
    **dict.fromkeys(("node", "nodejs"), _NODE),
    **dict.fromkeys(("bash", "dash", "zsh", "ksh", "sh"), _SHELL),
}
_VERSION = re.compile(r"(?<=[a-z])[\d.]*(?:\.exe)?$")
_WRAPPERS = {
    "env": _options(value="u C a --unset --chdir --argv0", code="S --split-string"),
    "nice": _options(value="n --adjustment"),
    "nohup": _options(),
    "time": _options(value="f o --format --output"),
    "stdbuf": _options(value="i o e --input --output --error"),
    "setsid": _options(),
    "ionice": _options(value="c n --class --classdata", code="p P u --pid --pgid --uid"),
    "chrt": _options(value="T P D --sched-runtime --sched-period --sched-deadline", code="p --pid", operands=1),
    "timeout": _options(value="s k --signal --kill-after", operands=1),
}
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


def name_of_command(argv: Sequence[str]) -> str:
    """Return the name of a command line: ``backup.py`` for ``python -u /opt/backup.py --all``, else ``aws``."""
    words = list(argv)
    while words and (rest := behind_wrapper(words)):
        words = rest
    program = PurePath(words[0]).name if words else ""
    script = target_of(words)
    return (_java_name(script) if _interpreter(words) == "java" else _script_name(script)) or program


def target_of(words: Sequence[str]) -> str:
    """Return the script, module or jar that an interpreter is to run; "" for code or another program."""
    options = _INTERPRETERS.get(_interpreter(words))
    return next(iter(_behind_options(options, words[1:])), "") if options else ""


def _interpreter(words: Sequence[str]) -> str:
    """Return the name of a program without its version."""
    return _VERSION.sub("", PurePath(words[0]).name, count=1) if words else ""


def behind_wrapper(words: Sequence[str]) -> list[str]:
    """Return the command of a wrapper, [] where it has none or the first word is not a wrapper."""
    wrapper = PurePath(words[0]).name
    options = _WRAPPERS.get(wrapper)
    if options is None:
        return []
    rest = _behind_options(options, words[1:])[options.operands :]
    return list(dropwhile(_ASSIGNMENT.match, rest)) if wrapper == "env" else rest


def _behind_options(options: _Options, words: Sequence[str]) -> list[str]:
    """Return the first word that is not an option and all behind it, [] where no script or command follows."""
    at = 0
    while at < len(words) and words[at].startswith(options.signs):
        role, held = _read(options, words[at])
        at += 1
        if role is _Role.CODE:
            return []
        if role is _Role.TARGET:
            return [held] if held else list(words[at:])
        if role is _Role.VALUE and not held:
            at += 1
    return list(words[at:])


def _read(options: _Options, word: str) -> tuple[_Role, str]:
    """Return what an option means for the words behind it, and the value in its own word."""
    name, _, held = word.partition("=")
    if name in options.roles:
        return options.roles[name], held
    if not word.startswith("--"):
        for place, letter in enumerate(word):
            if place and letter in options.roles:
                return options.roles[letter], word[place + 1 :]
    return _Role.ALONE, ""


def _script_name(script: str) -> str:
    # "bash <(...)" names a descriptor, which is not what a person would call it
    return "" if script.startswith("/dev/") else PurePath(script).name


def _java_name(target: str) -> str:
    if target.startswith("@"):  # a file of options
        return ""
    return PurePath(target).name if target.endswith((".jar", ".java")) else re.split(r"[./]", target)[-1]
