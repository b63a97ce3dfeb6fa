"""benchmarks/e2e/trial.py with real processes: every program gets what is sent, and the sink every span of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from platforms import on_linux

from benchmarks.e2e.programs import CsmOtel, Limit, Plain
from benchmarks.e2e.trial import trial

if TYPE_CHECKING:
    from benchmarks.e2e.programs import Program


@on_linux
@pytest.mark.parametrize(
    "program",
    [
        pytest.param(CsmOtel("http"), id="csm-otel-http"),
        pytest.param(CsmOtel("grpc"), id="csm-otel-grpc"),
        pytest.param(Plain("http"), id="plain-http"),
        pytest.param(Plain("grpc"), id="plain-grpc"),
        pytest.param(Limit("http"), id="limit"),
    ],
)
def test_nothing_is_lost(program: Program) -> None:
    """Datagrams sent, datagrams received and spans arrived are the same number at a rate that anybody sustains."""
    one = trial(program, per_second=100, seconds=1.0)

    assert one.observed.sent == one.received > 0
    assert one.lost == 0
    assert one.arrived is None or one.arrived.spans == one.observed.sent
    assert one.reported in {None, 0}
    assert one.cpu_seconds >= one.sending_cpu_seconds > 0
    assert one.idle_mib > 1
