"""The soak's commands, a few: each one's calls are in its trace, and its end is reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soak import commands
from soak.table import missed

if TYPE_CHECKING:
    from pathlib import Path


def test_each_command_has_its_calls_and_its_end(tmp_path: Path) -> None:
    """Whether it exits or is killed right after its only call, both datagrams of the call are in the trace."""
    assert not missed(commands.executed(with_boto3=1, with_sender=4, at_once=2, folder=tmp_path))
