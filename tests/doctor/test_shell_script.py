"""Shell scripts in, words of commands out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.doctor.shell_script import commands_in


@pytest.mark.parametrize(
    ("script", "commands"),
    [
        pytest.param("aws s3 ls", [["aws", "s3", "ls"]], id="one"),
        pytest.param("#!/bin/sh\n\n# sudo\naws s3 ls # sudo\n", [["aws", "s3", "ls"]], id="comments"),
        pytest.param("a | b && c || d; e &", [["a"], ["b"], ["c"], ["d"], ["e"]], id="separators"),
        pytest.param("X=1 Y='2 3' sudo -E a", [["sudo", "-E", "a"]], id="assignments"),
        pytest.param("if ! a; then exec b; fi", [["a"], ["b"], ["fi"]], id="keywords"),
        pytest.param("a \\\n  -b 'c d'", [["a", "-b", "c d"]], id="continued"),
        pytest.param("(cd x && ssh host y)", [["cd", "x"], ["ssh", "host", "y"]], id="subshell"),
        pytest.param("echo 'one\nsudo two'\nthree", [["three"]], id="quotation"),
        pytest.param("", [], id="empty"),
        pytest.param("a\n" * 3_000, [["a"]] * 2_000, id="bound"),
    ],
)
def test_commands(script: str, commands: list[list[str]]) -> None:
    """Commands are found by separators; a text of several lines has none."""
    assert commands_in(script) == commands


@given(st.text())
def test_any_text(script: str) -> None:
    """Whatever a script is, each of its commands has a first word."""
    assert all(commands_in(script))
