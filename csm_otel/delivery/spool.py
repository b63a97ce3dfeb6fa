"""Requests for the back end that wait on disk: `Spool`, a first-in first-out store in one folder.

SQLite with a write-ahead log: a put is in the operating system's hands when it returns, so it outlives this process
however that ends. (After a power failure the last moments may be missing; the rest is intact.) The order is that of the
keys, so a clock that steps changes nothing. SQLite notices most damage, and each request has a checksum for the rest.

Source: "Write-Ahead Logging" and "How To Corrupt An SQLite Database File" in the SQLite documentation.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
import zlib
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from csm_otel.delivery.spool_file import DAMAGED, DATABASE_ERRORS, LAYOUT, NAME, readable_rows
from csm_otel.errors import SpoolError, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

T = TypeVar("T")

_LOCK, _IN_USE = "lock", b"in use\n"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    key INTEGER PRIMARY KEY AUTOINCREMENT,  -- AUTOINCREMENT: a key is never used twice
    spans INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    checksum INTEGER NOT NULL,
    request BLOB NOT NULL
)
"""
_PRAGMAS = (
    "PRAGMA auto_vacuum = INCREMENTAL",
    "PRAGMA locking_mode = EXCLUSIVE",  # our own lock keeps others out already; so no shared memory is needed
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA journal_size_limit = 4194304",  # the log is cut to this size once it has been written back
)
# A separate row, deleted again, makes AUTOINCREMENT skip keys that must not be used any more.
_SKIP = "INSERT OR IGNORE INTO requests (key, spans, checksum, request) VALUES (?, 0, -1, X'')"
_DAMAGE_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BEFORE_ALL, _AFTER_ALL = -(2**62), 2**62
_ROW_BYTES = 64  # overhead of a request: key, counts and their share of a page


class _Size(NamedTuple):
    key: int
    spans: int
    size: int
    """Bytes."""


class _Counts(NamedTuple):
    bytes: int
    spans: int


class Spooled(NamedTuple):
    """A request that waits."""

    key: int
    request: bytes
    spans: int
    tries: int
    """The number of deliveries that may have reached the back end, in this process and in earlier ones."""


class Spool:
    """Encoded requests in one folder, for one process at a time. Any thread may use it.

    Where the disk fails (full, read-only, broken) a method raises SpoolError and changes nothing. A file that turns out
    to be damaged is moved aside and replaced by a new one with what can be read of it: no error then, but
    ``spans_lost`` has grown.
    """

    def __init__(self, folder: Path, *, limit_bytes: int) -> None:
        """Open the spool of a folder, which is created, for its owner only, if it is missing.

        Raises:
            SpoolError: it cannot be used, or another process uses it.
        """
        self._folder = folder
        self.limit_bytes = limit_bytes
        self._mutex = threading.Lock()
        self._done = _BEFORE_ALL
        """The keys up to this one are delivered, whether they could be removed from the disk or not."""
        self._returned: _Size | None = None
        """The last result of `first`."""
        self.bytes = 0
        """The size of the waiting requests, with overhead; a change is included once it is committed."""
        self.spans = 0
        """The number of their spans; likewise."""
        self._pending = _Counts(0, 0)
        """The same two after the change under way, which the disk may yet refuse to commit."""
        self.spans_lost = 0
        """Spans in damaged parts that cannot be read."""
        self.damages = 0
        """How often a file or a request in it was damaged."""
        with _as_spool_errors():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _lock(folder / _LOCK)
        try:
            with _as_spool_errors():
                self._open_or_repair()
        except SpoolError:
            os.close(self._lock)
            raise
        self.spans_found = self.spans
        """The spans left by an earlier process."""
        self.is_after_a_crash = os.fstat(self._lock).st_size > 0
        """Whether the process that had it last ended without `close`, so that it may have had more in memory."""
        with contextlib.suppress(OSError):  # a full disk
            os.pwrite(self._lock, _IN_USE, 0)

    def put(self, requests: Sequence[tuple[bytes, int]], *, tries: Sequence[int] = ()) -> int:
        """Keep requests, each with its number of spans, all or none, and return how many spans they evicted.

        ``tries`` has, for as many of them as had any, how many deliveries may have reached the back end.

        Beyond the bound the oldest are evicted, but not the one that `first` returned last: it may be under way.
        """

        def change() -> int:
            added = [_Size(0, spans, len(request) + _ROW_BYTES) for request, spans in requests]  # keys are to come
            excess = self._oldest(self._pending.bytes + sum(row.size for row in added) - self.limit_bytes)
            dropped = sum(row.spans for row in excess)
            all_tries = [*tries, *[0] * (len(requests) - len(tries))]
            self._database.executemany("DELETE FROM requests WHERE key = ?", [(row.key,) for row in excess])
            self._database.executemany(
                "INSERT INTO requests (spans, tries, checksum, request) VALUES (?, ?, ?, ?)",
                [
                    (spans, tried, zlib.crc32(request), request)
                    for (request, spans), tried in zip(requests, all_tries, strict=True)
                ],
            )
            self._count(-1, excess)
            self._count(1, added)
            return dropped

        return self._change(change)

    def first(self) -> Spooled | None:
        """Return the request that has waited longest, or None if none waits."""

        def oldest() -> tuple[int, bytes, int, int, int] | None:
            query = "SELECT key, request, spans, tries, checksum FROM requests WHERE key > ? ORDER BY key LIMIT 1"
            row: tuple[int, bytes, int, int, int] | None = self._database.execute(query, (self._done,)).fetchone()
            self._returned = row and _Size(row[0], row[2], len(row[1]) + _ROW_BYTES)
            return row

        while row := self._change(oldest):
            spooled = Spooled(*row[:-1])
            if zlib.crc32(spooled.request) == row[-1]:
                return spooled
            self.damages += 1
            is_counted = False
            try:
                is_counted = not self.replace_first(spooled.key)
            finally:
                self.spans_lost += 0 if is_counted else spooled.spans
        return None

    def record_tries(self, key: int, tries: int) -> None:
        """Store how many deliveries of a request may have reached the back end."""
        self._change(lambda: self._database.execute("UPDATE requests SET tries = ? WHERE key = ?", (tries, key)))

    def hangs(self, timeout_seconds: float) -> bool:
        """Return whether the disk is working on something that it does not finish in time."""
        has_ended = self._mutex.acquire(timeout=timeout_seconds)
        if has_ended:
            self._mutex.release()
        return not has_ended

    def replace_first(self, key: int, halves: Sequence[tuple[bytes, int]] = ()) -> bool:
        """Remove the request that `first` returned, or put its halves, each with its number of spans, in its place.

        Return False if the request was lost to damage meanwhile; it is among ``spans_lost`` then.

        Raises:
            SpoolError: the disk refuses. Without halves it is not returned again all the same, as it would be delivered
                for ever, nor does it count as waiting any more; with halves it stays as it was.
        """

        def change() -> bool:
            rows = self._sizes(up_to=key)
            self._database.execute("DELETE FROM requests WHERE key <= ?", (key,))
            self._count(-1, [row for row in rows if row.key > self._done])
            self._done = _BEFORE_ALL  # gone from the disk, too; halves may get keys like theirs
            is_there = any(row.key == key for row in rows)
            for at, (request, spans) in enumerate(halves if is_there else (), start=key - len(halves) + 1):
                self._database.execute(
                    "INSERT INTO requests (key, spans, checksum, request) VALUES (?, ?, ?, ?)",
                    (at, spans, zlib.crc32(request), request),
                )
                self._count(1, [_Size(at, spans, len(request) + _ROW_BYTES)])
            if not self._pending.bytes:
                self._database.execute("PRAGMA incremental_vacuum").fetchall()
            return is_there

        try:
            return self._change(change)
        except SpoolError:
            with self._mutex:
                if not halves and self._returned is not None and self._returned.key == key > self._done:
                    self._done = key
                    self._count(-1, [self._returned])
                    self._publish()
            raise

    def _count(self, sign: int, rows: Sequence[_Size]) -> None:
        """Count rows that are added (1) or removed (-1), for `_publish`."""
        size, spans = sum(row.size for row in rows), sum(row.spans for row in rows)
        self._pending = _Counts(self._pending.bytes + sign * size, self._pending.spans + sign * spans)

    def _publish(self) -> None:
        self.bytes, self.spans = self._pending

    def close(self) -> None:
        """Release the folder for others; waiting requests stay."""
        with self._mutex, contextlib.suppress(sqlite3.Error):
            self._database.close()
        with contextlib.suppress(OSError):
            os.ftruncate(self._lock, 0)
        os.close(self._lock)

    def _sizes(self, *, beyond: int = _BEFORE_ALL, up_to: int = _AFTER_ALL) -> list[_Size]:
        query = "SELECT key, spans, length(request) FROM requests WHERE key > ? AND key <= ? ORDER BY key"
        rows = self._database.execute(query, (beyond, up_to))
        return [_Size(key, spans, length + _ROW_BYTES) for key, spans, length in rows]

    def _oldest(self, excess_bytes: int) -> list[_Size]:
        """Return the oldest requests that free so many bytes."""
        found: list[_Size] = []
        spared = self._returned and self._returned.key
        for row in self._sizes(beyond=self._done) if excess_bytes > 0 else ():
            if excess_bytes <= 0:
                break
            if row.key != spared:
                found.append(row)
                excess_bytes -= row.size
        return found

    def _change(self, change: Callable[[], T]) -> T:
        """Make a change, whole or not at all, retried once if the file had to be repaired."""
        with self._mutex:
            try:
                return self._transact(change)
            except _DamagedError:
                self._repair()
                return self._transact(change)

    def _transact(self, change: Callable[[], T]) -> T:
        before = self._pending, self._done
        try:
            with _as_spool_errors():
                self._database.execute("BEGIN IMMEDIATE")
                result = change()
                self._database.execute("COMMIT")
        except SpoolError:
            self._pending, self._done = before
            with contextlib.suppress(*DATABASE_ERRORS):
                self._database.execute("ROLLBACK")
            raise
        self._publish()
        return result

    def _open_or_repair(self) -> None:
        try:
            self._open()
        except _DamagedError:
            self._repair()

    def _open(self) -> None:
        path = self._folder / NAME
        with _as_spool_errors():
            # SQLite gives the log the mode of the file
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1)
            for pragma in _PRAGMAS:
                self._database.execute(pragma).fetchall()
            (layout,) = self._database.execute("PRAGMA user_version").fetchone()
            if layout not in {0, LAYOUT}:
                raise SpoolError(f"{path} was written by another version of csm-otel")
            (verdict,) = self._database.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise _DamagedError("damaged")
            self._database.execute(_SCHEMA)
            self._database.execute(f"PRAGMA user_version = {LAYOUT}")
            self._count_all()
        self._done = _BEFORE_ALL

    def _repair(self) -> None:
        """Move the file aside and create a new one with what can be read of it."""
        spans, done = self.spans, self._done
        with _as_spool_errors():
            self._database.close()
            for suffix in ("", "-wal"):
                with contextlib.suppress(FileNotFoundError):
                    (self._folder / f"{NAME}{suffix}").replace(self._folder / f"{DAMAGED}{suffix}")
            self._open()
            try:
                self._copy_readable(done)
            finally:  # a full disk does not take all of them
                self.damages += 1
                self._count_all()
                self.spans_lost += max(spans - self.spans, 0)
            self._database.close()
            self._open()

    def _copy_readable(self, done: int) -> None:
        """Copy what can be read of the file that was moved aside into the new one, but for what is delivered."""
        if self._returned is not None:  # its key must not be used again: the request may be under way
            self._database.execute(_SKIP, (self._returned.key,))
            self._database.execute("DELETE FROM requests WHERE checksum = -1")
        for row in readable_rows(self._folder / DAMAGED):
            if row[0] > done:
                self._database.execute(
                    "INSERT OR IGNORE INTO requests (key, spans, tries, checksum, request) VALUES (?, ?, ?, ?, ?)", row
                )

    def _count_all(self) -> None:
        sizes = self._sizes()
        self._pending = _Counts(sum(row.size for row in sizes), sum(row.spans for row in sizes))
        self._publish()


class _DamagedError(SpoolError):
    """Raised when the file is not as SQLite wrote it."""


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise SpoolError("another csm-otel uses it") from error
    return descriptor


@contextlib.contextmanager
def _as_spool_errors() -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        kind = _DamagedError if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE_CODES else SpoolError
        raise kind(str(error)) from error
    except UnicodeDecodeError as error:
        raise _DamagedError("a damaged file, with text that is not UTF-8") from error
    except OSError as error:
        raise SpoolError(reason_of(error)) from error
