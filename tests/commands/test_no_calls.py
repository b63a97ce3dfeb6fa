"""The likeliest reason why a command's calls were not seen. Whole runs are in tests/e2e/test_no_calls.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.commands.no_calls import likeliest_reason

if TYPE_CHECKING:
    from pathlib import Path


def program(path: Path) -> str:
    """Make an executable file that fails if it is run."""
    path.write_bytes(b"no program")
    path.chmod(0o755)
    return str(path)


def test_a_reason(tmp_path: Path) -> None:
    """The first finding of doctor is it."""
    words = [program(tmp_path / "sudo"), program(tmp_path / "tool")]

    assert likeliest_reason(words, {}) == "sudo starts its command with an environment of its own"


def test_no_reason(tmp_path: Path) -> None:
    """Without a finding there is none."""
    assert not likeliest_reason([program(tmp_path / "tool")], {})


def test_a_large_program(tmp_path: Path) -> None:
    """Of a program some megabytes are read: nobody waits for more."""
    path = tmp_path / "tool"
    program(path)
    with path.open("r+b") as file:
        file.seek(20 * 1024**2)
        file.write(b"github.com/aws/aws-sdk-go-v2/")

    assert not likeliest_reason([str(path)], {})
