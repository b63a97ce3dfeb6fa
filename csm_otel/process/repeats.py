"""What has been said lately and is not worth to be said again: `Repeats`."""

from __future__ import annotations

_QUIET_SECONDS = 60.0  # how long the same is not repeated
_MOST_REMEMBERED = 100


class Repeats:
    """Remembers, of a bounded number of kinds, when each was said last."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def is_news(self, kind: str, *, now: float) -> bool:
        """Return whether something of a kind is to be said at ``now``, monotonic seconds; it counts as said then."""
        last = self._last.get(kind)
        if last is not None and now - last < _QUIET_SECONDS:
            return False
        if len(self._last) >= _MOST_REMEMBERED:
            self._last.clear()
        self._last[kind] = now
        return True
