"""The daemon without parts of it. Running daemons are in tests/e2e/."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from csm_otel.commands.serve import _open_flushers
from csm_otel.config.settings import Settings
from csm_otel.process.speaker import Speaker

if TYPE_CHECKING:
    from collections.abc import Callable

    from csm_otel.engine.bridge import Bridge


@pytest.mark.parametrize(
    ("control", "line"),
    [
        pytest.param(lambda _folder: Path("none"), "", id="switched-off"),
        pytest.param(lambda folder: folder / "file" / "sock", "csm-otel: `csm-otel flush` will not work: ", id="fails"),
    ],
)
def test_without_a_control_socket(control: Callable[[Path], Path], line: str, tmp_path: Path) -> None:
    """The daemon runs without it; one that cannot be opened is reported in one line."""
    (tmp_path / "file").touch()
    stderr = io.StringIO()

    assert _open_flushers(Settings(control=control(tmp_path)), [], cast("Bridge", None), Speaker(stderr), None) == []
    assert stderr.getvalue().startswith(line)
    assert len(stderr.getvalue().splitlines()) == bool(line)
