"""What leaves the correlator: the words for its reasons, and values that cannot be changed afterwards."""

from __future__ import annotations

import pytest
from datagrams import call
from observations import observed, observed_call

from csm_otel.correlation.released import CorrelatedCall, OrphanAttempt, Reason, Released

CALL = CorrelatedCall(
    call=observed_call(call()), attempts=(observed(2, 27),), missing=0, ambiguous=False, reason=Reason.COMPLETE
)
ORPHAN = OrphanAttempt(attempt=observed(2, 27), reason=Reason.EXPIRED)


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (Reason.COMPLETE, "complete"),
        (Reason.EXPIRED, "expired"),
        (Reason.EVICTED, "evicted"),
        (Reason.FLUSHED, "flushed"),
        (Reason.ENDED, "ended"),
    ],
)
def test_words_of_the_tally(reason: Reason, word: str) -> None:
    """A reason is the word that the tally, the metrics and the health report use."""
    assert f"{reason}" == word


@pytest.mark.parametrize(
    ("released", "field"),
    [
        pytest.param(CALL, "attempts", id="call"),
        pytest.param(CALL.call, "start_ns", id="observed"),
        pytest.param(ORPHAN, "reason", id="orphan"),
    ],
)
def test_values_are_frozen(released: Released, field: str) -> None:
    """A released value is never changed by a later stage."""
    with pytest.raises(AttributeError):
        setattr(released, field, None)


def test_equal_content_is_equal() -> None:
    """Released values compare by content."""
    again = OrphanAttempt(attempt=observed(2, 27), reason=Reason.EXPIRED)

    assert again == ORPHAN
    assert again != OrphanAttempt(attempt=observed(2, 27), reason=Reason.FLUSHED)
