"""The source of a run, and its defaults."""

from __future__ import annotations

from csm_otel.engine.source import Source
from csm_otel.spans.ids import RandomIds


def test_defaults() -> None:
    """By default there are no sockets, ids are random, senders are looked up, and calls have no parent."""
    source = Source()

    assert isinstance(source.ids, RandomIds)
    assert not source.receivers
    assert (source.origins, source.context, source.parent) == (None, None, None)
    assert (source.host_name, source.service_name, source.trace_state) == ("", "", "")
