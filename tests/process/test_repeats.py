"""What has been said lately."""

from __future__ import annotations

from csm_otel.process.repeats import Repeats


def test_once_a_minute() -> None:
    """The same kind is news once a minute, whatever comes between."""
    repeats = Repeats()
    assert [repeats.is_news("a", now=now) for now in (0.0, 59.9, 60.0, 119.9, 120.0)] == [
        True,
        False,
        True,
        False,
        True,
    ]
    assert repeats.is_news("b", now=120.0)


def test_any_number_of_kinds() -> None:
    """Kinds without end are all news, and not all remembered."""
    repeats = Repeats()
    assert all(repeats.is_news(str(number), now=0.0) for number in range(1000))
    assert len(repeats._last) <= 100
