"""The file of a spool, read without a lock and without changing it: `spool_copy`.

A daemon that uses a spool locks its file against any other reader, and has its latest requests in the write-ahead log
beside it. So both are copied, and the copy is read.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from csm_otel.errors import SpoolError, reason_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

NAME, DAMAGED = "requests.sqlite", "damaged.sqlite"
"""The file in the folder of a spool, and the one that was moved aside when it turned out to be damaged."""
LAYOUT = 1
"""The version of the table, as SQLite's ``user_version``."""
DATABASE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What sqlite3 raises; the latter where a damaged file has names that are not UTF-8, as the message quotes them."""
MAGIC = b"SQLite format 3\0"
"""How such a file begins."""

_FROM_BOTH_ENDS = (
    "SELECT key, spans, tries, checksum, request FROM requests ORDER BY key",
    "SELECT key, spans, tries, checksum, request FROM requests ORDER BY key DESC",
)
_LOG = "-wal"
_MAX_COPIES = 5


@contextlib.contextmanager
def spool_copy(path: Path) -> Generator[SpoolCopy]:
    """Copy a spool, given by its folder or its file, for as long as the context lasts.

    Raises:
        SpoolError: it cannot be copied, or is no spool.
    """
    with tempfile.TemporaryDirectory(prefix="csm-otel-", ignore_cleanup_errors=True) as folder:
        file = Path(folder, NAME)
        try:
            _copy(path / NAME if path.is_dir() else path, file)
        except FileNotFoundError as error:
            raise SpoolError("a folder without a spool") from error
        except OSError as error:
            raise SpoolError(f"cannot be copied: {reason_of(error)}") from error
        yield SpoolCopy(file)


class SpoolCopy:
    """The copy of a spool."""

    def __init__(self, file: Path) -> None:
        """Look into the file.

        Raises:
            SpoolError: it is no spool.
        """
        self._file = file
        self.is_damaged = False
        """Whether some of it cannot be read, as far as is known yet."""
        self._count: int | None = None
        """How many requests there are; None if that is not known."""
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as database:
            try:
                tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
                (layout,) = database.execute("PRAGMA user_version").fetchone()
            except DATABASE_ERRORS:
                return
            if ("requests",) not in tables:
                raise SpoolError("a database that is no spool")
            if layout != LAYOUT:
                raise SpoolError("a spool of another version of csm-otel")
            with contextlib.suppress(*DATABASE_ERRORS):
                (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
                self.is_damaged = verdict != "ok"
                (self._count,) = database.execute("SELECT count(*) FROM requests").fetchone()

    def requests(self) -> Iterator[bytes]:
        """Yield the requests, each once, in order; of a damaged file those that can be read."""
        seen: set[int] = set()
        for key, *_, request in readable_rows(self._file):
            if len(seen) == self._count:  # before it is read from its other end, too
                return
            if key not in seen:
                seen.add(key)
                yield request
        self.is_damaged |= self._count is None or len(seen) < self._count


def _copy(file: Path, to: Path) -> None:
    """Copy a database with its log, again if it was written to meanwhile."""
    logs = file.with_name(file.name + _LOG), to.with_name(to.name + _LOG)
    for _ in range(_MAX_COPIES):
        before = _state(file), _state(logs[0])
        # in this order, so that pages that move from the log to the file meanwhile are in both copies
        logs[1].unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(*logs)
        shutil.copyfile(file, to)
        if before == (_state(file), _state(logs[0])):
            return


def _state(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns


def readable_rows(path: Path) -> Iterator[tuple[int, int, int, int, bytes]]:
    """Yield the rows of a damaged file, from both ends as far as they can be read."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        for query in _FROM_BOTH_ENDS:
            with contextlib.suppress(*DATABASE_ERRORS):
                yield from filter(_is_row, database.execute(query))


def _is_row(row: tuple[object, ...]) -> bool:
    *numbers, request = row
    return (
        all(isinstance(number, int) for number in numbers)
        and isinstance(request, bytes)
        and zlib.crc32(request) == row[3]
    )
