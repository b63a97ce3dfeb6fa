"""The source of a run: what is taken for granted where nothing is said."""

from __future__ import annotations

from csm_otel.engine.source import Source
from csm_otel.spans.ids import RandomIds


def test_defaults() -> None:
    """A run without a word has no sockets, random ids, and looks up its senders, below no span."""
    source = Source()

    assert isinstance(source.ids, RandomIds)
    assert not source.receivers
    assert (source.origins, source.context, source.parent) == (None, None, None)
    assert (source.host_name, source.service_name, source.trace_state) == ("", "", "")
