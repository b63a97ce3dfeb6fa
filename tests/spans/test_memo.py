"""Results that are remembered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from csm_otel.spans.memo import Memo


def test_a_result_is_computed_once() -> None:
    """The function is called for what is missing, and the same object is returned from then on."""
    asked: list[int] = []

    def doubled(number: int) -> list[int]:
        asked.append(number)
        return [number, number]

    memo = Memo(doubled)

    assert memo[3] == [3, 3]
    assert memo[3] is memo[3]
    assert asked == [3]


@given(st.lists(st.integers(0, 9)))
def test_it_is_bounded_and_never_wrong(numbers: list[int]) -> None:
    """Whatever is asked in whatever order, at most so many results are kept, and each is the function's."""
    memo = Memo(str, most=3)

    for number in numbers:
        assert memo[number] == str(number)
        assert len(memo) <= 3
