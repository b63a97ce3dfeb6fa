"""The command line: a flag for each setting, parsed as declared, and the help pages."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from csm_otel import __version__
from csm_otel.config.flags import FLAGS_OF, read_command_line
from csm_otel.config.setting import Number, Setting
from csm_otel.config.settings import GROUPS, SETTINGS
from csm_otel.errors import SettingsError

OPERANDS = {
    "serve": [],
    "exec": ["true"],
    "env": [],
    "replay": ["recording.ndjson"],
    "report": ["recording.ndjson"],
    "flush": [],
    "health": [],
    "doctor": [],
}
NUMBERS = [flag for flag in SETTINGS.values() if isinstance(flag.reader, Number)]
with_each_subcommand = pytest.mark.parametrize("subcommand", [pytest.param(one, id=one) for one in FLAGS_OF])
with_each_number = pytest.mark.parametrize("flag", [pytest.param(flag, id=flag.field) for flag in NUMBERS])


def parse(*words: str) -> dict[str, object]:
    """Return the flags given, all of which are usable."""
    line = read_command_line(words)
    assert line.faults == []
    return line.flags


def subcommand_of(flag: Setting) -> str:
    """Return a subcommand that has the flag."""
    return next(subcommand for subcommand, flags in FLAGS_OF.items() if flag in flags)


def faults_of(*words: str) -> list[str]:
    """Return the faults of a command line."""
    try:
        return [str(fault) for fault in read_command_line(words).faults]
    except SettingsError as error:
        return [str(fault) for fault in error.faults]


def page(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return a help page, which goes to stdout and ends with 0."""
    with pytest.raises(SystemExit) as caught:
        parse(*words, "--help")
    captured = capsys.readouterr()
    assert (caught.value.code, captured.err) == (0, "")
    return captured.out


def test_a_flag_for_each_setting() -> None:
    """Each setting is a flag of at least one command, and of those that it names."""
    for setting in SETTINGS.values():
        assert setting.option is not None
        assert setting.option.commands == tuple(command for command, flags in FLAGS_OF.items() if setting in flags)


@pytest.mark.parametrize("words", [[], *([command] for command in FLAGS_OF)], ids="".join)
def test_a_help_page_starts_with_its_use(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """It starts with one line of usage, and has two valid command lines as examples before its options."""
    text = page(capsys, *words)
    head, _, examples = text.partition("options:")[0].partition("examples:")
    lines = [line.split() for line in examples.splitlines() if line.startswith("  csm-otel")]

    assert text.startswith(f"usage: {' '.join(['csm-otel', *words])}")
    assert len(head.strip().split("\n\n")) == 2
    assert len(lines) == 2
    for _, *line in lines:
        parse(*line)


@pytest.mark.parametrize("width", [50, 72, 120])
def test_a_help_page_is_as_wide_as_the_terminal(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its options fill the lines up to the terminal's last two columns."""
    monkeypatch.setenv("COLUMNS", str(width))
    options = page(capsys, "exec").partition("options:")[2].splitlines()
    longest = max(len(line) for line in options if line.startswith(" " * 24))
    assert width - 12 <= longest <= width - 2


@with_each_subcommand
def test_a_help_page_has_each_option(subcommand: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It has each of the subcommand's flags and no other, each with its default and its variable."""
    text = " ".join(page(capsys, subcommand).partition("show this help message and exit")[2].split())
    listed = re.findall(r"(?<!\S)(--(?!no-)[a-z][a-z-]+)(?=[ ,]).*?\(default: [^[]+\) \[([A-Z_]+)\]", text)

    assert sorted(listed) == sorted((flag.flag, flag.variable) for flag in FLAGS_OF[subcommand])


@pytest.mark.parametrize(
    ("subcommand", "field", "expected"),
    [
        pytest.param("serve", "port", "31000", id="number"),
        pytest.param("serve", "grace_seconds", "0.25", id="fraction"),
        pytest.param("serve", "account_id", "true", id="boolean"),
        pytest.param("serve", "queue_bytes", "67108864, 64 MiB", id="size"),
        pytest.param("serve", "attempt_wait_seconds", "900, 15 min", id="time"),
        pytest.param("serve", "record", "unset", id="unset"),
        pytest.param("serve", "spool", "in memory", id="unset-but-described"),
        pytest.param("exec", "drain_seconds", "5", id="of-exec"),
        pytest.param("replay", "drain_seconds", "30", id="of-replay"),
    ],
)
def test_defaults_on_a_help_page(
    subcommand: str, field: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A default is shown as it can be typed, with its size or time in a larger unit."""
    text = " ".join(page(capsys, subcommand).split())

    assert f"(default: {expected}) [{SETTINGS[field].variable}]" in text


@pytest.mark.parametrize("subcommand", ["serve", "exec", "replay"])
def test_options_are_in_groups(subcommand: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its options stand below headings, in one order on all pages."""
    headings = re.findall(r"^([a-z ]+):$", page(capsys, subcommand), re.MULTILINE)
    used = {flag.option.group for flag in FLAGS_OF[subcommand] if flag.option}

    assert [heading for heading in headings if heading in GROUPS] == [group for group in GROUPS if group in used]


@pytest.mark.parametrize("subcommand", ["flush", "health"])
def test_few_options_have_no_headings(subcommand: str, capsys: pytest.CaptureFixture[str]) -> None:
    """All options of a command that asks a running daemon are listed together."""
    headings = re.findall(r"^([a-z ]+):$", page(capsys, subcommand), re.MULTILINE)

    assert headings == ["examples", "options"]


@pytest.mark.parametrize(
    ("subcommand", "expected"),
    [
        pytest.param(
            "serve", "TCP port for /healthz and /readyz, of 127.0.0.1 unless a host is given; 0 picks", id="serve"
        ),
        pytest.param("health", "ask at this TCP port, of 127.0.0.1 unless a host is given, and not by", id="health"),
    ],
)
def test_an_option_that_means_something_else(
    subcommand: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The daemon listens on the port of --health, where `csm-otel health` asks; 0 is not the same to both."""
    text = " ".join(page(capsys, subcommand).split())

    assert f"--health [HOST:]PORT {expected}" in text


def test_the_page_of_the_program_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """Each command has a line."""
    text = page(capsys)

    assert [line.split()[0] for line in text.splitlines() if line.startswith("    ")] == list(FLAGS_OF)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The version is printed on stdout."""
    with pytest.raises(SystemExit) as caught:
        parse("--version")

    assert caught.value.code == 0
    assert f"csm-otel {__version__}\n" == capsys.readouterr().out


@with_each_subcommand
def test_nothing_given(subcommand: str) -> None:
    """A flag that is not given is None, so that its variable applies."""
    assert dict.fromkeys(flag.field for flag in FLAGS_OF[subcommand]) == parse(subcommand, *OPERANDS[subcommand])


@with_each_number
def test_invalid_numbers(flag: Setting) -> None:
    """A text that is not a number, or out of bounds, is a fault under the flag's name."""
    number = number_of(flag)
    faults = ["x", "", "nan", "-1", str(number.lowest - 1)]
    faults.append("inf" if math.isinf(number.highest) and number.kind is int else str(number.highest + 1))
    if number.kind is int:
        faults.append(f"{number.lowest}.5")
    for text in faults:
        subcommand = subcommand_of(flag)
        (fault,) = faults_of(subcommand, f"{flag.flag}={text}", *OPERANDS[subcommand])
        assert fault.startswith(f"{flag.flag}: {text!r} is not a ")


@with_each_number
def test_bounds_are_included(flag: Setting) -> None:
    """The bounds themselves are accepted."""
    number = number_of(flag)
    for value in (number.lowest, number.highest if math.isfinite(number.highest) else number.lowest + 1):
        subcommand = subcommand_of(flag)
        assert value == parse(subcommand, flag.flag, str(value), *OPERANDS[subcommand])[flag.field]


def number_of(flag: Setting) -> Number:
    """Return the parser of a numeric flag."""
    assert isinstance(flag.reader, Number)
    return flag.reader


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
        pytest.param(
            ["report"], "the following arguments are required: INPUT; see csm-otel report --help", id="no-input"
        ),
        pytest.param(["report", "a", "--", "b"], "report takes no such argument: b", id="a-command-of-report"),
        pytest.param(
            ["report", "a", "--file", "b"], "--file: report has no such flag; see csm-otel report --help", id="export"
        ),
        pytest.param(["exec"], "exec: a command is needed: csm-otel exec -- COMMAND [ARG...]", id="no-command"),
        pytest.param(
            ["exec", "--record", "-", "true"], "--record: stdout is the command's; exec needs a file", id="to-stdout"
        ),
        pytest.param(
            ["exec", "--file=-", "true"], "--file: stdout is the command's; exec needs a file", id="file-to-stdout"
        ),
        pytest.param([], "the following arguments are required: COMMAND; see csm-otel --help", id="nothing"),
    ],
)
def test_invalid_command_lines(words: list[str], expected: str) -> None:
    """An invalid command line is rejected, in one line that names valid words."""
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
    """A long text is cut, and a possible header is not shown."""
    assert faults_of(*words) == [expected]


def test_a_long_unknown_command_is_cut() -> None:
    """A fault in the words of argparse is cut, too."""
    (fault,) = faults_of(LONG)
    assert CUT in fault
    assert "9" * 41 not in fault


def test_an_unknown_command() -> None:
    """It is rejected with a list of the commands."""
    (fault,) = faults_of("sing")
    assert all(name in fault for name in ("COMMAND", "'sing'", *FLAGS_OF))


def test_all_faults_are_reported_at_once() -> None:
    """Each invalid flag has its line, and the valid ones are returned nevertheless."""
    line = read_command_line(["serve", "--port", "x", "--host", "h", "--group", "y", "--nothing", "--grace-seconds=-1"])
    assert [fault.name for fault in line.faults] == ["--port", "--group", "--grace-seconds", "--nothing"]
    assert (line.flags["host"], line.flags["port"]) == ("h", None)


def test_a_repeated_flag() -> None:
    """It adds to a list; of another one the last value counts. What is unusable is reported."""
    words = ("exec", "--fail-on", "error", "--name", "one", "--fail-on", "calls>5,retry", "--name", "two", "--", "true")
    flags = parse(*words)
    assert (flags["fail_on"], flags["name"]) == ("error,calls>5,retry", "two")

    for given in (["errors", "error"], ["error", "errors"], ["error", "errors", "error"]):
        line = read_command_line(["exec", *(f"--fail-on={rules}" for rules in given), "true"])
        assert [str(fault).partition(";")[0] for fault in line.faults] == ["--fail-on: unknown: 'errors'"]
        assert line.flags["fail_on"] is None


def test_the_commands_words_are_not_parsed() -> None:
    """Words after the command of exec belong to the command, even if they look like our flags."""
    line = read_command_line(["exec", "--name", "n", "aws", "--quiet", "--name", "m"])

    assert ("n", None, ["aws", "--quiet", "--name", "m"]) == (line.flags["name"], line.flags["quiet"], line.command)


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["a", "b", "--report", "page.html"], id="flags-last"),
        pytest.param(["--report", "page.html", "a", "b"], id="flags-first"),
        pytest.param(["a", "--report", "page.html", "b"], id="flags-between"),
    ],
)
def test_inputs_of_report(words: list[str]) -> None:
    """Inputs may come before and after flags."""
    line = read_command_line(["report", *words])

    assert (line.inputs, line.flags["report"], line.faults) == ([Path("a"), Path("b")], Path("page.html"), [])
