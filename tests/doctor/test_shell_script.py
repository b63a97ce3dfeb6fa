"""Shell scripts in, words of commands out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.doctor.shell_script import commands_in

_PROGRAMS = ("sudo", "ssh")


@pytest.mark.parametrize(
    ("script", "commands"),
    [
        pytest.param("sudo aws s3 ls", [["sudo", "aws", "s3", "ls"]], id="one"),
        pytest.param("#!/bin/sh\n\n# sudo\naws s3 ls # sudo\n", [], id="comments"),
        pytest.param("a | sudo b && c || ssh d; sudo e &", [["sudo", "b"], ["ssh", "d"], ["sudo", "e"]], id="several"),
        pytest.param("X=1 Y='2 3' sudo -E a", [["sudo", "-E", "a"]], id="assignments"),
        pytest.param("if ! sudo a; then exec ssh b; fi", [["sudo", "a"], ["ssh", "b"]], id="keywords"),
        pytest.param("sudo \\\n  -b 'c d'", [["sudo", "-b", "c d"]], id="continued"),
        pytest.param("(cd x && ssh host y)", [["ssh", "host", "y"]], id="subshell"),
        pytest.param("/usr/bin/sudo a", [["/usr/bin/sudo", "a"]], id="path"),
        pytest.param("echo sudo; ssh-keygen; pseudo", [], id="no-command"),
        pytest.param("echo 'one\nsudo two'\nssh three", [["ssh", "three"]], id="quotation"),
        pytest.param("", [], id="empty"),
        pytest.param(f"sudo {'a' * 5_000}\nssh b", [["ssh", "b"]], id="long-line"),
        pytest.param(f"sudo {'a' * 1_019}\n" * 100, [["sudo", "a" * 1_019]] * 64, id="bound"),
    ],
)
def test_commands(script: str, commands: list[list[str]]) -> None:
    """Commands are found by separators; a text of several lines has none, nor has a line that is too long."""
    assert commands_in(script, _PROGRAMS) == commands


@given(st.lists(st.sampled_from(["sudo", "a", " ", "\n", "'", '"', "\\", "#", ";", "&&", "(", "X="])).map("".join))
def test_any_text(script: str) -> None:
    """Whatever a script is, each of its commands is of one of the programs."""
    assert all(command[0] in _PROGRAMS for command in commands_in(script, _PROGRAMS))
