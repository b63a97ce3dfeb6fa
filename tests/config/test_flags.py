"""The command line: one flag for each setting, with the same bounds and choices."""

from __future__ import annotations

import math
import typing
from collections import Counter
from enum import StrEnum

import pytest

from csm_otel import __version__
from csm_otel.config.flags import FLAGS_OF, Flag, read_command_line
from csm_otel.config.settings import Settings
from csm_otel.errors import SettingsError

OPERANDS = {"serve": [], "exec": ["true"], "replay": ["recording.ndjson"], "flush": []}
ALL_FLAGS = tuple({flag.field: flag for flags in FLAGS_OF.values() for flag in flags}.values())
with_each_flag = pytest.mark.parametrize("flag", [pytest.param(flag, id=flag.field) for flag in ALL_FLAGS])
NUMBERS = [flag for flag in ALL_FLAGS if flag.type in (int, float)]
with_each_subcommand = pytest.mark.parametrize("subcommand", [pytest.param(one, id=one) for one in FLAGS_OF])
with_each_number = pytest.mark.parametrize("flag", [pytest.param(flag, id=flag.field) for flag in NUMBERS])


def parse(*words: str) -> dict[str, object]:
    """Return the flags that were given by the words, all of which can be used."""
    line = read_command_line(words)
    assert line.faults == []
    return line.flags


def subcommand_of(flag: Flag) -> str:
    """Return a subcommand that has the flag."""
    return next(subcommand for subcommand, flags in FLAGS_OF.items() if flag in flags)


def faults_of(*words: str) -> list[str]:
    """Return what is wrong with a command line."""
    try:
        return read_command_line(words).faults
    except SettingsError as error:
        return list(error.faults)


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
    assert dict.fromkeys(flag.field for flag in FLAGS_OF[subcommand]) == parse(subcommand, *OPERANDS[subcommand])


@with_each_number
def test_no_number(flag: Flag) -> None:
    """What is no number, or out of bounds, is refused by the flag's name."""
    faults = ["x", "", "nan", "-1", str(flag.lowest - 1)]
    faults.append("inf" if math.isinf(flag.highest) and flag.type is int else str(flag.highest + 1))
    if flag.type is int:
        faults.append(f"{flag.lowest}.5")
    for text in faults:
        subcommand = subcommand_of(flag)
        (fault,) = faults_of(subcommand, f"{flag.name}={text}", *OPERANDS[subcommand])
        assert fault.startswith(f"{flag.name}: {text!r} is not a ")


@with_each_number
def test_bounds_are_included(flag: Flag) -> None:
    """The bounds themselves can be asked for."""
    for value in (flag.lowest, flag.highest if math.isfinite(flag.highest) else flag.lowest + 1):
        subcommand = subcommand_of(flag)
        assert value == parse(subcommand, flag.name, str(value), *OPERANDS[subcommand])[flag.field]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(
            ["serve", "--timestamps", "middle"], "--timestamps: 'middle' is none of auto, start, end", id="choice"
        ),
        pytest.param(
            ["serve", "--pending-bytes", "1"],
            "--pending-bytes: '1' is not a whole number of 1048576 or more",
            id="bound",
        ),
        pytest.param(
            ["serve", "--quiet"], "--quiet: serve has no such flag; see csm-otel serve --help", id="flag-of-exec"
        ),
        pytest.param(
            ["exec", "--port", "1"], "--port: exec has no such flag; see csm-otel exec --help", id="flag-of-serve"
        ),
        pytest.param(
            ["serve", "--grace=1"], "--grace: serve has no such flag; see csm-otel serve --help", id="abbreviation"
        ),
        pytest.param(["serve", "--port"], "--port: expected one argument; see csm-otel serve --help", id="no-value"),
        pytest.param(
            ["replay"], "the following arguments are required: FILE; see csm-otel replay --help", id="no-recording"
        ),
        pytest.param(["replay", "a", "b"], "replay takes no such argument: b", id="two-recordings"),
        pytest.param(["replay", "a", "--", "b"], "replay takes no such argument: b", id="a-command"),
        pytest.param(["exec"], "exec: a command is needed: csm-otel exec -- COMMAND [ARG...]", id="no-command"),
        pytest.param(
            ["exec", "--record", "-", "true"], "--record: stdout is the command's; exec needs a file", id="to-stdout"
        ),
        pytest.param([], "the following arguments are required: COMMAND; see csm-otel --help", id="nothing"),
    ],
)
def test_refused(words: list[str], expected: str) -> None:
    """A command line that cannot be meant is refused, in one line that says what can."""
    assert [expected] == faults_of(*words)


LONG, CUT = "9" * 5_000, f"'{'9' * 40}'..."


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(["serve", "--port", LONG], f"--port: {CUT} is not a whole number from 0 to 65535", id="number"),
        pytest.param(["serve", "--group", LONG], f"--group: {CUT} is none of call, process", id="choice"),
        pytest.param(["replay", "a", LONG], f"replay takes no such argument: {CUT}", id="argument"),
        pytest.param(
            ["serve", f"--{LONG}"],
            f"'--{'9' * 38}'...: serve has no such flag; see csm-otel serve --help",
            id="flag",
        ),
        pytest.param(
            ["serve", "--port", "k=hunter2"],
            "--port: a text with '=' is not a whole number from 0 to 65535",
            id="header",
        ),
        pytest.param(
            ["replay", "a", "k=hunter2"], "replay takes no such argument: a text with '='", id="header-as-argument"
        ),
    ],
)
def test_what_is_not_quoted(words: list[str], expected: str) -> None:
    """A long text is cut, and one that may be a header is not shown."""
    assert faults_of(*words) == [expected]


def test_a_long_unknown_command_is_cut() -> None:
    """Also where argparse words the fault."""
    (fault,) = faults_of(LONG)
    assert CUT in fault
    assert "9" * 41 not in fault


def test_an_unknown_command() -> None:
    """It is refused with those that there are."""
    (fault,) = faults_of("sing")
    assert all(name in fault for name in ("COMMAND", "'sing'", *FLAGS_OF))


def test_all_faults_are_told_at_once() -> None:
    """Of several wrong flags each has its line, and those that can be used are there all the same."""
    line = read_command_line(["serve", "--port", "x", "--host", "h", "--group", "y", "--nothing", "--grace-seconds=-1"])
    assert [fault.partition(":")[0] for fault in line.faults] == ["--port", "--group", "--grace-seconds", "--nothing"]
    assert (line.flags["host"], line.flags["port"]) == ("h", None)


def test_the_commands_words_are_its_own() -> None:
    """What follows the command of exec is the command's, flags like ours included."""
    line = read_command_line(["exec", "--name", "n", "aws", "--quiet", "--name", "m"])

    assert ("n", None, ["aws", "--quiet", "--name", "m"]) == (line.flags["name"], line.flags["quiet"], line.command)
