"""The pace of a recording that is played, and when its pipeline is advanced."""

from __future__ import annotations

import io
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import pytest
from conformance.recordings import recording
from eventful import eventful
from stops import NeverStopped, Stop

from csm_otel.commands.player import _Pace
from csm_otel.commands.replay import replay
from csm_otel.config.configuration import configure
from csm_otel.config.environment import Given
from csm_otel.config.settings import Settings
from csm_otel.config.standard import StandardVariables
from csm_otel.engine.origin_hold import HOLD_SECONDS
from csm_otel.files.recording import encode_line
from csm_otel.process.speaker import Speaker

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from csm_otel.process.stop import StopSignal


@pytest.fixture
def without_signals(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Leave the signal handlers of the test run unchanged."""
    with closing(NeverStopped()) as stop:
        monkeypatch.setattr("csm_otel.commands.replay.StopSignal", lambda *_numbers: stop)
        yield


@pytest.mark.parametrize("second", [0.0, 1e9])
def test_as_fast_as_possible(second: float) -> None:
    """Without a speed it waits for nothing, and notices a signal."""
    stop = Stop()
    pace = _Pace(None, cast("StopSignal", stop))

    assert pace.wait_until(second)
    stop.number = 15
    assert not pace.wait_until(second)


@pytest.mark.usefixtures("without_signals")
@pytest.mark.parametrize(
    ("name", "is_exec", "settings", "variables"),
    [
        pytest.param("boto3_errors", False, {}, {}, id="defaults"),
        pytest.param("gt_t8", False, {"group": "process"}, {"bsp_max_export_batch_size": 7}, id="processes"),
        pytest.param("ruby_mt8_client", False, {}, {"bsp_schedule_delay": 20}, id="short-delay"),
        pytest.param("js_conc8", False, {"grace_seconds": 2.0}, {"bsp_schedule_delay": 0}, id="no-delay"),
        pytest.param("java_mt8", False, {"grace_seconds": 0.0}, {}, id="no-grace"),
        pytest.param("go_errors", False, {"pending_events": 5}, {}, id="few-pending"),
        pytest.param("cpp_mt8", True, {}, {"bsp_schedule_delay": 100}, id="exec"),
    ],
)
def test_the_pipeline_is_advanced_where_it_has_to_be(
    tmp_path: Path, name: str, *, is_exec: bool, settings: dict[str, Any], variables: dict[str, Any]
) -> None:
    """The requests are, to the byte, those of a pipeline that is advanced at each line."""
    path = tmp_path / "kept.ndjson"
    path.write_bytes(b"".join(map(encode_line, eventful(recording(name), seed=1, is_exec=is_exec))))
    written = []
    for hold_seconds in (HOLD_SECONDS, 0.0):  # if something may be due at once, it is asked for at each line
        to = tmp_path / f"spans-{hold_seconds}"
        given = Given(Settings(file=to, **settings), StandardVariables(traces_exporter=("none",), **variables))
        configuration, _ = configure("replay", given)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("csm_otel.commands.player.HOLD_SECONDS", hold_seconds)
            assert replay(path, configuration, Speaker(io.StringIO())) == 0
        written.append(to.read_bytes())

    assert written[0] == written[1]
    assert written[0].count(b"\n") > 1
