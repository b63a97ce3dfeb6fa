"""A spool that is read while another process may use it: all that waits is found, and nothing is changed."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING

import pytest

from csm_otel.delivery import spool_file
from csm_otel.delivery.spool import Spool
from csm_otel.delivery.spool_file import NAME, spool_copy
from csm_otel.errors import SpoolError

if TYPE_CHECKING:
    from pathlib import Path

REQUESTS = [b"%d" % number * 500 for number in range(40)]


def spool_of(folder: Path, requests: list[bytes] = REQUESTS) -> Spool:
    """Return a spool with these requests, in use."""
    spool = Spool(folder, limit_bytes=10_000_000)
    spool.put([(request, 1) for request in requests])
    return spool


def read(path: Path) -> tuple[list[bytes], bool]:
    """Return the requests of a spool, and whether it is damaged."""
    with spool_copy(path) as copy:
        requests = list(copy.requests())
        return requests, copy.is_damaged


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["", NAME])
def test_after_its_end(name: str, tmp_path: Path) -> None:
    """A spool that no process uses is read by its folder or its file."""
    spool_of(tmp_path).close()
    before = contents(tmp_path)

    assert read(tmp_path / name) == (REQUESTS, False)
    assert contents(tmp_path) == before


def test_in_use(tmp_path: Path) -> None:
    """What is in the log only is read, too; the process goes on with its lock, its file and its log."""
    with closing(spool_of(tmp_path)) as spool:
        before = contents(tmp_path)
        assert len(before[f"{NAME}-wal"]) > sum(map(len, REQUESTS))

        assert read(tmp_path) == (REQUESTS, False)
        assert contents(tmp_path) == before

        spool.put([(b"more", 1)])
        assert read(tmp_path) == ([*REQUESTS, b"more"], False)


def test_a_disk_that_is_never_at_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file changes with each copy, the last copy is read."""
    states = count()
    monkeypatch.setattr(spool_file, "_state", lambda _file: (next(states), 0))
    with closing(spool_of(tmp_path)):
        assert read(tmp_path) == (REQUESTS, False)


def test_a_process_that_was_killed(tmp_path: Path) -> None:
    """It has left a log, which is read and left as it is."""
    with closing(spool_of(tmp_path / "used")):
        shutil.copytree(tmp_path / "used", tmp_path / "left")
    before = contents(tmp_path / "left")

    assert read(tmp_path / "left") == (REQUESTS, False)
    assert contents(tmp_path / "left") == before


def test_empty(tmp_path: Path) -> None:
    """Nothing may wait in it."""
    spool_of(tmp_path, []).close()

    assert read(tmp_path) == ([], False)


@pytest.mark.parametrize("at", [0.4, 0.6, 0.9])
def test_damaged(at: float, tmp_path: Path) -> None:
    """What can be read of it is, in whatever order, and that there is more is known."""
    spool_of(tmp_path).close()
    damaged = bytearray((tmp_path / NAME).read_bytes())
    start = int(len(damaged) * at)
    damaged[start : start + 3000] = b"\xff" * 3000
    (tmp_path / NAME).write_bytes(damaged)

    requests, is_damaged = read(tmp_path)

    assert is_damaged
    assert set(requests) < set(REQUESTS)
    assert len(requests) == len(set(requests))


def test_a_request_that_was_changed(tmp_path: Path) -> None:
    """A request whose checksum is another one is left out."""
    spool_of(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / NAME)) as database:
        database.execute("UPDATE requests SET request = X'00' WHERE key = 3")
        database.commit()

    assert read(tmp_path) == ([*REQUESTS[:2], *REQUESTS[3:]], True)


def test_half_a_file(tmp_path: Path) -> None:
    """A file that was cut is damaged."""
    spool_of(tmp_path).close()
    (tmp_path / NAME).write_bytes((tmp_path / NAME).read_bytes()[:6000])

    assert read(tmp_path)[1]


def test_another_database(tmp_path: Path) -> None:
    """A database of others is no spool."""
    path = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE responses (x)")

    with pytest.raises(SpoolError, match=r"^a database that is no spool$"):
        read(path)


def test_another_version(tmp_path: Path) -> None:
    """A spool with another layout is not guessed at."""
    spool_of(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / NAME)) as database:
        database.execute("PRAGMA user_version = 7")

    with pytest.raises(SpoolError, match=r"^a spool of another version of csm-otel$"):
        read(tmp_path)


def test_a_folder_without_one(tmp_path: Path) -> None:
    """A folder of something else is named as such."""
    with pytest.raises(SpoolError, match=r"^a folder without a spool$"):
        read(tmp_path)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """The system's reason is given."""
    (tmp_path / NAME).mkdir()

    with pytest.raises(SpoolError, match=r"^cannot be copied: is a directory$"):
        read(tmp_path)
