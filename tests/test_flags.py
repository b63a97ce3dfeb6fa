"""The command line: one flag for each setting, with the same bounds and choices."""

from __future__ import annotations

import math
import typing
from collections import Counter
from enum import StrEnum

import pytest

from csm_otel import __version__
from csm_otel.flags import FLAGS_OF, Flag, build_parser
from csm_otel.settings import Settings

OPERANDS = {"serve": [], "exec": [], "replay": ["recording.ndjson"], "flush": []}
ALL_FLAGS = tuple({flag.field: flag for flags in FLAGS_OF.values() for flag in flags}.values())
with_each_flag = pytest.mark.parametrize("flag", [pytest.param(flag, id=flag.field) for flag in ALL_FLAGS])
NUMBERS = [flag for flag in ALL_FLAGS if flag.type in (int, float)]
with_each_subcommand = pytest.mark.parametrize("subcommand", [pytest.param(one, id=one) for one in FLAGS_OF])
with_each_number = pytest.mark.parametrize("flag", [pytest.param(flag, id=flag.field) for flag in NUMBERS])


def parse(*words: str) -> dict[str, object]:
    """Return what the parser makes of the words."""
    return vars(build_parser().parse_args(words))


def subcommand_of(flag: Flag) -> str:
    """Return a subcommand that has the flag."""
    return next(subcommand for subcommand, flags in FLAGS_OF.items() if flag in flags)


def refuse(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the last line on stderr of a command line that is refused with exit code 2."""
    with pytest.raises(SystemExit) as caught:
        parse(*words)
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert not captured.out
    return captured.err.splitlines()[-1]


def test_a_flag_for_each_setting() -> None:
    """Each setting has exactly one flag of its name, and each flag its setting."""
    assert Counter(Settings.model_fields.keys()) == Counter(flag.field for flag in ALL_FLAGS)


@with_each_number
def test_bounds_are_the_settings(flag: Flag) -> None:
    """What the command line lets through the settings take, and the other way round."""
    bounds = {
        name: getattr(item, name)
        for item in Settings.model_fields[flag.field].metadata
        for name in ("ge", "le")
        if hasattr(item, name)
    }

    assert {"ge": flag.lowest, "le": flag.highest} == {"ge": bounds.get("ge"), "le": bounds.get("le", math.inf)}


@with_each_flag
def test_type_is_the_settings(flag: Flag) -> None:
    """A flag's type and choices are its setting's."""
    annotation = Settings.model_fields[flag.field].annotation
    kinds = [kind for kind in typing.get_args(annotation) or (annotation,) if kind is not type(None)]

    if flag.choices:
        assert issubclass(kinds[0], StrEnum)
        assert flag.choices == tuple(kinds[0])
    else:
        assert [flag.type] == kinds


@with_each_subcommand
def test_help(subcommand: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Help goes to stdout, exits with 0, and has each of the subcommand's flags and no other."""
    with pytest.raises(SystemExit) as caught:
        parse(subcommand, "--help")

    captured = capsys.readouterr()
    assert caught.value.code == 0
    assert not captured.err
    options = captured.out.partition("options:")[2]
    listed = [word.strip(",") for word in options.split() if word.startswith("--") and not word.startswith("--no-")]
    assert sorted(["--help", *(flag.name for flag in FLAGS_OF[subcommand])]) == sorted(listed)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The version is told on stdout."""
    with pytest.raises(SystemExit) as caught:
        parse("--version")

    assert caught.value.code == 0
    assert f"csm-otel {__version__}\n" == capsys.readouterr().out


@with_each_subcommand
def test_nothing_given(subcommand: str) -> None:
    """A flag that is not given is None, so that its variable holds."""
    given = parse(subcommand, *OPERANDS[subcommand])

    assert dict.fromkeys(flag.field for flag in FLAGS_OF[subcommand]) == {
        name: value for name, value in given.items() if name not in {"subcommand", "command", "recording"}
    }


@with_each_number
def test_no_number(flag: Flag, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no number, or out of bounds, is refused by the flag's name."""
    faults = ["x", "", "nan", "-1", str(flag.lowest - 1)]
    faults.append("inf" if math.isinf(flag.highest) and flag.type is int else str(flag.highest + 1))
    if flag.type is int:
        faults.append(f"{flag.lowest}.5")
    for text in faults:
        assert f"error: argument {flag.name}: {text!r} is not a " in refuse(
            capsys, subcommand_of(flag), f"{flag.name}={text}"
        )


@with_each_number
def test_bounds_are_included(flag: Flag) -> None:
    """The bounds themselves can be asked for."""
    for value in (flag.lowest, flag.highest if math.isfinite(flag.highest) else flag.lowest + 1):
        subcommand = subcommand_of(flag)
        assert value == parse(subcommand, flag.name, str(value), *OPERANDS[subcommand])[flag.field]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(["serve", "--timestamps", "middle"], "argument --timestamps: invalid choice", id="choice"),
        pytest.param(["serve", "--pending-bytes", "1"], "'1' is not a whole number of 1048576 or more", id="bound"),
        pytest.param(["serve", "--quiet"], "unrecognized arguments: --quiet", id="flag-of-exec"),
        pytest.param(["exec", "--port", "1"], "unrecognized arguments", id="flag-of-serve"),
        pytest.param(["serve", "--grace", "1"], "unrecognized arguments", id="abbreviation"),
        pytest.param(["serve", "--port"], "argument --port: expected one argument", id="no-value"),
        pytest.param(["replay"], "the following arguments are required: FILE", id="no-recording"),
        pytest.param(["replay", "a", "b"], "unrecognized arguments: b", id="two-recordings"),
        pytest.param(["sing"], "argument COMMAND: invalid choice", id="subcommand"),
        pytest.param([], "required: COMMAND", id="nothing"),
    ],
)
def test_refused(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A command line that cannot be meant is refused with exit code 2."""
    assert expected in refuse(capsys, *words)


def test_the_commands_words_are_its_own() -> None:
    """What follows the command of exec is the command's, flags like ours included."""
    given = parse("exec", "--name", "n", "aws", "--quiet", "--name", "m")

    assert ("n", None, ["aws", "--quiet", "--name", "m"]) == (given["name"], given["quiet"], given["command"])
