"""Lines of a screen to the traces that share it: `lines_by_trace`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def lines_by_trace(
    heights: Sequence[int], failed: Sequence[bool], max_lines: int, *, only_failed: bool = False
) -> dict[int, int]:
    """Return how many lines each trace gets, by its index; one that is not shown is missing.

    ``heights`` are the lines that they need, in order of time; ``failed`` says in which of them something failed: these
    come first, from both ends, and with ``only_failed`` no others, if there are any. A trace that needs few lines gets
    them all, those that need many share the rest. There is always one trace, and each that is shown may use a line.
    """
    bad = [index for index, has_failed in enumerate(failed) if has_failed]
    ends = [index for pair in zip(reversed(bad), bad, strict=True) for index in pair]
    others = [] if only_failed and bad else range(len(heights))
    shown = list(dict.fromkeys([*ends, *others]))[:max_lines]
    shares: dict[int, int] = {}
    left = max_lines
    for number, index in enumerate(sorted(shown, key=lambda index: heights[index])):
        shares[index] = min(heights[index], left // (len(shown) - number))
        left -= shares[index]
    return shares
