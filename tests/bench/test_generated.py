"""benchmarks/e2e/generated.py: what simulated senders send is what an SDK would."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from benchmarks.e2e.generated import of_lines, of_retries, of_threads
from benchmarks.e2e.workload import schedule
from csm_otel.csm.decoding import decode
from csm_otel.csm.events import ApiCall, Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.e2e.workload import Stream


def events(workload: Sequence[Stream], *, per_second: float) -> list[Event]:
    """Return what a second of a workload decodes to."""
    sent = schedule(workload, per_second=per_second, seconds=1.0)
    return [event for datagram in sent for event in decode(datagram.template.shifted(datagram.shift_ms)).events]


@pytest.mark.parametrize("count", [1, 64])
def test_threads_send_whole_calls(count: int) -> None:
    """Each call comes with as many attempts as it counts."""
    seen = events(of_threads(count, per_second=500), per_second=500)

    kinds = Counter(type(event) is ApiCall for event in seen)
    assert sum(event.attempt_count or 0 for event in seen if isinstance(event, ApiCall)) == kinds[False] > 0
    assert {("DynamoDB", "Query")} == {(event.service, event.api) for event in seen}


def test_retries_are_mostly_attempts() -> None:
    """There is one call for nine attempts, which all failed."""
    seen = events(of_retries(per_second=500), per_second=500)

    calls = [event for event in seen if isinstance(event, ApiCall)]
    assert len(calls) == pytest.approx(len(seen) / 10, abs=1)
    assert all(event.status == 500 for event in seen if not isinstance(event, ApiCall))


def test_lines_come_at_their_rate() -> None:
    """They are lines of statsd, all alike."""
    sent = list(schedule(of_lines(per_second=500), per_second=500, seconds=1.0))

    assert len(sent) == pytest.approx(500, abs=2)
    assert {b"sent_to_statsd:1|c"} == {datagram.template.before.partition(b"|#")[0] for datagram in sent}
