"""What the wheel installs below ``share``: completion and the manual page have the flags of the command line."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from csm_otel import __version__
from csm_otel.config.flags import FLAGS_OF, read_command_line
from csm_otel.config.setting import OneOf, Setting
from csm_otel.config.settings import COMMANDS, SETTINGS
from scripts.build_hook import COMPLETIONS, MANUAL, completion, files, manual

ROOT = Path(__file__).parents[1]
FLAG = re.compile(r"--[a-z][a-z-]*")
with_each_command = pytest.mark.parametrize("command", [pytest.param(one, id=one) for one in COMMANDS])


def flags_of_help(command: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """Return the flags that the help page of a command lists."""
    with pytest.raises(SystemExit):
        read_command_line([command, "--help"])
    heads = re.findall(r"^  (-.*?)(?:  |$)", capsys.readouterr().out, re.MULTILINE)
    return {flag for head in heads for flag in FLAG.findall(head)}


def flags_of_bash(command: str) -> set[str]:
    """Return the flags that bash completes for a command."""
    (words,) = re.findall(rf"^_shtab_csm_otel_{command}_option_strings=\((.*)\)$", completion("bash"), re.MULTILINE)
    return set(words.split()) - {"-h"}


def flags_of_zsh(command: str) -> set[str]:
    """Return the flags that zsh completes for a command."""
    options = rf"^_shtab_csm_otel_{command}_options=\(\n(.*?)^\)$"
    (block,) = re.findall(options, completion("zsh"), re.MULTILINE | re.DOTALL)
    heads = re.findall(r'^  (?:"\(- : \*\)")?[{"](-.*?)[}\[]', block, re.MULTILINE)
    return {flag for head in heads for flag in FLAG.findall(head)}


def flags_of_fish(command: str) -> set[str]:
    """Return the flags that fish completes for a command."""
    lines = [line for line in completion("fish").splitlines() if f" -n '_shtab_csm_otel_using {command}' " in line]
    return {f"--{name}" for line in lines for name in re.findall(r" -l ([a-z-]+)", line)}


def flags_of_manual(command: str) -> set[str]:
    """Return the flags that the manual page describes for a command."""
    section = manual().replace("\\-", "-").partition(f"\n.SS csm-otel {command}\n")[2]
    section = re.split(r"^\.S[SH]", section, maxsplit=1, flags=re.MULTILINE)[0]
    return {flag for line in re.findall(r"^\.TP\n(.*)$", section, re.MULTILINE) for flag in FLAG.findall(line)}


@with_each_command
def test_the_flags_are_those_of_the_command_line(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each shell and the manual page have exactly the flags of the help page, which are those that are parsed."""
    flags = flags_of_help(command, capsys)
    negated = {setting.flag.replace("--", "--no-") for setting in FLAGS_OF[command] if setting.kind is bool}

    assert flags == {setting.flag for setting in FLAGS_OF[command]} | negated | {"--help"}
    assert flags_of_bash(command) == flags_of_zsh(command) == flags_of_fish(command) == flags
    assert flags_of_manual(command) == flags - {"--help"}


def test_the_commands_are_those_of_the_command_line() -> None:
    """Each has its summary in the completion of zsh, and its section in the manual page."""
    assert f"_shtab_csm_otel_subparsers=({' '.join(FLAGS_OF)})" in completion("bash")
    assert re.findall(r"^\.SS csm\\-otel (\w+)$", manual(), re.MULTILINE) == list(FLAGS_OF)


@pytest.mark.parametrize(
    "setting",
    [pytest.param(one, id=one.field) for one in SETTINGS.values() if isinstance(one.reader, OneOf)],
)
def test_words_of_a_choice(setting: Setting) -> None:
    """Where a flag takes one of a few words, each shell completes them."""
    assert isinstance(setting.reader, OneOf)
    words = " ".join(setting.reader.words)

    assert f"___{setting.field}_choices=({words})" in completion("bash")
    assert f":({words})" in completion("zsh")
    assert f'-l {setting.flag[2:]} -xka "{words}"' in completion("fish")


@pytest.mark.parametrize("setting", [pytest.param(one, id=one.field) for one in SETTINGS.values() if one.kind is Path])
def test_files_and_folders(setting: Setting) -> None:
    """Where a flag takes a path, each shell completes files, or folders if it is one."""
    is_folder = setting.option is not None and setting.option.metavar == "DIR"

    assert f"___{setting.field}_COMPGEN=_shtab_compgen_{'dirs' if is_folder else 'files'}" in completion("bash")
    assert re.search(rf'"{setting.flag}\[.*\]:\w+:_files{" -/" if is_folder else ""}"', completion("zsh"))


def test_placeholders_with_colons() -> None:
    """Zsh separates the parts of an option by colons, so one in a placeholder is escaped."""
    assert r"]:[HOST\:]PORT:" in completion("zsh")


def test_the_exit_codes_are_in_the_manual_page() -> None:
    """Every row of docs/exit-codes.md is in its section."""
    table = (ROOT / "docs/exit-codes.md").read_text(encoding="utf-8")
    section = manual().partition("\n.SH EXIT STATUS\n")[2].partition("\n.SH ")[0]

    assert section.count(".TP\n") == len(re.findall(r"^\| (?!Command )", table, re.MULTILINE)) > len(COMMANDS)


def test_the_manual_page_has_the_date_of_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is that of SOURCE_DATE_EPOCH; without, the page has none, so that it is the same on another day."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    head = '.TH CSM\\-OTEL 1 "{}" "csm\\-otel {}" "User Commands"\n'
    assert manual().startswith(head.format("November 14, 2023", __version__))

    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert manual().startswith(head.format("", __version__))


def test_they_are_in_the_wheel(tmp_path: Path) -> None:
    """The wheel has them where installers put data, whole."""
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as file:
        data = {name.partition(".data/data/")[2]: name for name in file.namelist() if ".data/data/" in name}
        assert data.keys() == {*COMPLETIONS.values(), MANUAL}
        assert {name: file.read(path).decode() for name, path in data.items()} == files()


def test_they_can_be_written_without_a_build(tmp_path: Path) -> None:
    """The script writes them to a folder, as a package of a distribution needs them."""
    subprocess.run([sys.executable, ROOT / "scripts/build_hook.py", tmp_path], check=True, timeout=60)

    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {str(path.relative_to(tmp_path)): path.read_text() for path in written} == files()
