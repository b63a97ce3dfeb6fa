"""How the settings come to what is built of them, where more than one has a say."""

from __future__ import annotations

from pathlib import Path

import pytest

from csm_otel.commands.wiring import _delay_seconds
from csm_otel.config.settings import Settings
from csm_otel.config.standard import StandardVariables


@pytest.mark.parametrize(
    ("spool", "asked", "expected"),
    [
        pytest.param(None, None, 5.0, id="as-specified"),
        pytest.param(Path("spool"), None, 0.2, id="soon-on-disk"),
        pytest.param(None, 20, 0.02, id="asked"),
        pytest.param(Path("spool"), 5000, 5.0, id="asked-with-a-spool"),
        pytest.param(Path("spool"), 0, 0.0, id="at-once"),
    ],
)
def test_batch_delay(spool: Path | None, asked: int | None, expected: float) -> None:
    """With a spool spans leave sooner than specified, as a kill takes what has not, unless something else is asked."""
    variables = StandardVariables(bsp_schedule_delay=asked)

    assert expected == _delay_seconds(Settings(spool=spool), variables)
