"""Results of a pure function, remembered by its argument: `Memo`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

K = TypeVar("K")
V = TypeVar("V")

MOST_RESULTS = 1024
"""By default; arguments come from untrusted senders, so their number is bounded."""


class Memo(dict[K, V]):  # ruff: ignore[subclass-builtin] - a UserDict is no faster than the functions remembered
    """A dictionary of what a function returns, which is called for what is missing: ``memo[argument]``.

    The result must follow from the argument alone, and equal arguments have to be alike: 1, 1.0 and True are equal.
    Beyond ``most`` results all are forgotten, as the cheapest way: those still in use are soon back.
    """

    def __init__(self, function: Callable[[K], V], *, most: int = MOST_RESULTS) -> None:
        """Remember the results of ``function``."""
        super().__init__()
        self._function = function
        self._most = most

    def __missing__(self, argument: K) -> V:
        """Call the function."""
        result = self._function(argument)
        if len(self) >= self._most:
            self.clear()
        self[argument] = result
        return result
