"""A disk that is slow to commit, or refuses to: replaces a spool's connection to its database."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING, Any

from otlp_backend import FOREVER_SECONDS

if TYPE_CHECKING:
    from csm_otel.delivery.spool import Spool


class SlowDisk:
    """Replaces the connection of a spool; each commit waits until ``goes_on`` is set."""

    def __init__(self, spool: Spool) -> None:
        self._database = spool._database
        self.goes_on = threading.Event()
        self.waits = threading.Event()
        """Whether a commit waits, or has waited."""
        self.refuses = False
        spool._database = self  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def execute(self, statement: str, *more: Any) -> sqlite3.Cursor:
        """Execute a statement, a commit when it may.

        Raises:
            OperationalError: a commit is rejected.
        """
        if statement == "COMMIT":
            self.waits.set()
            self.goes_on.wait(FOREVER_SECONDS)
            if self.refuses:
                raise sqlite3.OperationalError("disk I/O error")
        return self._database.execute(statement, *more)
