"""Requests on disk: kept in order, within the bound, through any end of the process and damage of the file."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from delivery.committing import SlowDisk
from hypothesis import given, settings
from hypothesis import strategies as st
from otlp_backend import DEADLINE_SECONDS

from csm_otel.delivery.spool import _PRAGMAS, Spool, Spooled
from csm_otel.errors import SpoolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PLENTY = 10_000_000
FILE = "requests.sqlite"


def opened(folder: Path, limit_bytes: int = PLENTY) -> Spool:
    """Return the spool of a folder."""
    return Spool(folder / "spool", limit_bytes=limit_bytes)


def drained(spool: Spool, *, into: list[bytes] | None = None) -> list[bytes]:
    """Remove and return the waiting requests, in order; ``into`` a list that keeps them should the spool raise."""
    requests = [] if into is None else into
    while spooled := spool.first():
        requests.append(spooled.request)
        spool.replace_first(spooled.key)
    return requests


def filled(folder: Path, requests: Sequence[bytes]) -> None:
    """Leave requests of one span each in the spool of a folder."""
    with closing(opened(folder)) as spool:
        spool.put([(request, 1) for request in requests])


def test_first_in_first_out(tmp_path: Path) -> None:
    """Requests are returned in order, once, with their spans; then there is nothing, not even counts."""
    with closing(opened(tmp_path)) as spool:
        spool.put([(b"a", 1), (b"b", 2)])
        spool.put([(b"c", 3)])
        assert (spool.spans, spool.first()) == (6, spool.first())
        assert drained(spool) == [b"a", b"b", b"c"]
        assert (spool.first(), spool.spans, spool.bytes) == (None, 0, 0)


def test_another_process_continues(tmp_path: Path) -> None:
    """A reopened folder has the same requests and counts of spans, in order, tries included."""
    with closing(opened(tmp_path)) as spool:
        spool.put([(b"a", 1), (b"b", 2)])
        first = spool.first()
        assert first
        spool.record_tries(first.key, 3)
    with closing(opened(tmp_path)) as spool:
        assert (spool.spans_found, spool.spans_lost, spool.damages) == (3, 0, 0)
        again = spool.first()
        assert again == first._replace(tries=3)
        assert drained(spool) == [b"a", b"b"]


def test_beyond_the_bound_the_oldest_go(tmp_path: Path) -> None:
    """The bound holds after every put, evictions are counted, and the one under way is spared."""
    with closing(opened(tmp_path, limit_bytes=3_500)) as spool:
        assert spool.put([(bytes(1000), 1), (bytes(1000), 2), (bytes(1000), 4)]) == 0
        first = spool.first()
        assert first
        assert spool.put([(b"new" * 300, 8)]) == 2
        assert spool.bytes <= 3_500
        assert spool.put([(b"newer" * 200, 16)]) == 4
        assert spool.spans == 1 + 8 + 16
        assert spool.first() == first
        assert [request[:3] for request in drained(spool)] == [b"\0\0\0", b"new", b"new"]


def test_halves_take_the_place_of_the_first(tmp_path: Path) -> None:
    """A split request stays in front of later ones, however often."""
    with closing(opened(tmp_path)) as spool:
        spool.put([(b"abcd", 4), (b"e", 1)])
        for halves in ([(b"ab", 2), (b"cd", 2)], [(b"a", 1), (b"b", 1)]):
            first = spool.first()
            assert first
            spool.replace_first(first.key, halves)
        assert spool.spans == 5
        assert drained(spool) == [b"a", b"b", b"cd", b"e"]


def test_only_its_owner_can_read(tmp_path: Path) -> None:
    """The folder has mode 0700 and every file in it 0600, whatever the umask allows."""
    before = os.umask(0)
    try:
        spool = opened(tmp_path)
    finally:
        os.umask(before)
    with closing(spool):
        spool.put([(b"a", 1)])
        folder = tmp_path / "spool"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert set(modes) >= {FILE, f"{FILE}-wal", "lock"}
        assert set(modes.values()) == {0o600}


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """A second one gets an error, and the first one's files are untouched; afterwards the folder is free."""
    with closing(opened(tmp_path)) as spool:
        spool.put([(b"a", 1)])
        with pytest.raises(SpoolError, match="another csm-otel uses it"):
            opened(tmp_path)
        assert drained(spool) == [b"a"]
    opened(tmp_path).close()


@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "not-closed"])
def test_a_process_that_did_not_close_it(tmp_path: Path, *, is_closed: bool) -> None:
    """The next one knows whether the last one ended in order, and a new folder has no last one."""
    ends = "" if is_closed else "import os; os._exit(0)"
    program = "from pathlib import Path; from csm_otel.delivery.spool import Spool; import sys"
    opens = "spool = Spool(Path(sys.argv[1]), limit_bytes=2**20); assert not spool.is_after_a_crash"
    subprocess.run(
        [sys.executable, "-c", f"{program}\n{opens}\n{ends}\nspool.close()", tmp_path / "spool"], check=True, timeout=60
    )
    with closing(opened(tmp_path)) as spool:
        assert spool.is_after_a_crash is not is_closed
    with closing(opened(tmp_path)) as spool:
        assert not spool.is_after_a_crash


_PUTS_FOR_EVER = """
import sys
from pathlib import Path
from csm_otel.delivery.spool import _PRAGMAS, Spool
spool = Spool(Path(sys.argv[1]), limit_bytes=100_000_000)
for number in range(10**9):
    spool.put([(b"%d" % number + bytes(20_000), 1)])
    print(number, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 20, 300], ids=lambda lines: f"after-{lines}")
def test_acknowledged_requests_outlive_kill_9(tmp_path: Path, lines: int) -> None:
    """Every put that had returned when the process was killed is there, in order, and whole."""
    command = [sys.executable, "-c", _PUTS_FOR_EVER, str(tmp_path / "spool")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        acknowledged = [int(process.stdout.readline()) for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout]
        process.wait(DEADLINE_SECONDS)
    with closing(opened(tmp_path, 100_000_000)) as spool:
        assert (spool.damages, spool.spans_lost) == (0, 0)
        found = [int(request.rstrip(b"\0")) for request in drained(spool)]
    assert found[: len(acknowledged)] == acknowledged
    assert len(found) <= len(acknowledged) + 1


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _garble_the_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = os.urandom(20_000)
    path.write_bytes(content)


def _garble_the_head(path: Path) -> None:
    path.write_bytes(os.urandom(4096) + path.read_bytes()[4096:])


def _garble_the_schema(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE", b"CREATE \x80ABLE"))


def _replace_by_garbage(path: Path) -> None:
    path.write_bytes(b"not a database " * 1000)


@pytest.mark.parametrize(
    "damage",
    [_truncate, _empty, _garble_the_middle, _garble_the_head, _garble_the_schema, _replace_by_garbage],
    ids=lambda one: one.__name__,
)
def test_a_damaged_file_is_replaced(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """It opens nevertheless, has nothing but whole requests, in order, and accepts new ones after them."""
    requests = [b"%04d" % number * 2_000 for number in range(40)]
    filled(tmp_path, requests)
    damage(tmp_path / "spool" / FILE)

    with closing(opened(tmp_path)) as spool:
        spool.put([(b"new", 1)])
        found = drained(spool)
    assert found[-1] == b"new"
    assert found[:-1] == [request for request in requests if request in set(found)]
    with closing(opened(tmp_path)) as spool:
        assert (spool.first(), spool.damages) == (None, 0)


def test_a_request_that_changed_on_disk_is_not_delivered(tmp_path: Path) -> None:
    """Bytes with a wrong checksum are skipped and counted; those around them are returned."""
    filled(tmp_path, [b"first", b"second" * 100, b"third"])
    path = tmp_path / "spool" / FILE
    path.write_bytes(path.read_bytes().replace(b"secondsecond", b"secondSECOND"))
    with closing(opened(tmp_path)) as spool:
        assert drained(spool) == [b"first", b"third"]
        assert (spool.damages, spool.spans_lost) == (1, 1)


def test_damage_under_way(tmp_path: Path) -> None:
    """A file that is damaged while in use is repaired then; unreadable requests are counted."""
    with closing(opened(tmp_path)) as spool:
        spool.put([(b"%04d" % number * 5_000, 1) for number in range(100)])
        spool._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        spool._database.execute("PRAGMA shrink_memory").fetchall()
        _garble_the_middle(tmp_path / "spool" / FILE)
        spool._database.execute("PRAGMA cache_size = 1").fetchall()
        found = drained(spool)
        spool.put([(b"new", 1)])
        assert drained(spool) == [b"new"]
        assert spool.damages > 0
        assert len(found) + spool.spans_lost == 100
        assert found == sorted(found)


def test_a_full_disk_while_it_is_repaired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests without room in the new file are counted, and the rest is kept."""
    with closing(opened(tmp_path)) as spool:
        spool.put([(b"%04d" % number * 5_000, 1) for number in range(100)])
        spool._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        spool._database.execute("PRAGMA shrink_memory").fetchall()
        _garble_the_middle(tmp_path / "spool" / FILE)
        spool._database.execute("PRAGMA cache_size = 1").fetchall()
        found: list[bytes] = []
        monkeypatch.setattr("csm_otel.delivery.spool._PRAGMAS", (*_PRAGMAS, "PRAGMA max_page_count = 100"))
        with pytest.raises(SpoolError, match="full"):
            drained(spool, into=found)
        drained(spool, into=found)
        assert spool.spans_lost > 0
        assert len(found) + spool.spans_lost == 100
        assert found == sorted(set(found))


def test_a_spool_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    """A file in an unknown format is not touched."""
    filled(tmp_path, [b"a"])
    with closing(sqlite3.connect(tmp_path / "spool" / FILE)) as database:
        database.execute("PRAGMA user_version = 2")
    with pytest.raises(SpoolError, match="another version"):
        opened(tmp_path)


@pytest.mark.parametrize("folder", ["/dev/null/spool", "/dev/null"])
def test_an_unusable_folder(folder: str) -> None:
    """A folder that cannot be created is a SpoolError in a few words."""
    with pytest.raises(SpoolError) as caught:
        Spool(Path(folder), limit_bytes=PLENTY)
    assert "\n" not in str(caught.value)


_FILLS_UP = """
import resource, signal, sys
from pathlib import Path
from csm_otel.errors import SpoolError
from csm_otel.delivery.spool import _PRAGMAS, Spool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = Spool(Path(sys.argv[1]), limit_bytes=100_000_000)
spool.put([(b"before", 1)])
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))
faults = 0
for _ in range(3):
    try:
        spool.put([(bytes(100_000), 1)])
    except SpoolError:
        faults += 1
assert (faults, spool.spans) == (3, 1), (faults, spool.spans)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
spool.put([(b"after", 1)])
first = spool.first()
spool.replace_first(first.key)
print(first.request, spool.first().request, spool.damages)
"""


def test_a_full_disk_loses_nothing_that_was_there(tmp_path: Path) -> None:
    """Puts fail while there is no room, each as a whole; afterwards they succeed again."""
    command = [sys.executable, "-c", _FILLS_UP, str(tmp_path / "spool")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert done.stdout == "b'before' b'after' 0\n"


@pytest.mark.parametrize("refuses", [False, True])
def test_counts_are_those_of_committed_changes(tmp_path: Path, refuses: bool) -> None:  # ruff: ignore[boolean-type-hint-positional-argument] - a column of the table
    """While a commit hangs the counts are those before it; then those of the disk, whether it committed or not."""
    with closing(opened(tmp_path, 1_000)) as spool:
        spool.put([(bytes(300), 1), (bytes(300), 2)])
        before = (spool.bytes, spool.spans)
        disk = SlowDisk(spool)
        disk.refuses = refuses
        faults: list[SpoolError] = []

        def put() -> None:
            try:
                spool.put([(bytes(500), 4)])  # evicts the first
            except SpoolError as error:
                faults.append(error)

        thread = threading.Thread(target=put)
        thread.start()
        assert disk.waits.wait(DEADLINE_SECONDS)
        assert (spool.bytes, spool.spans) == before
        disk.goes_on.set()
        thread.join(DEADLINE_SECONDS)
        assert len(faults) == refuses
        assert (spool.bytes, spool.spans) == (before if refuses else (before[0] + 200, 6))
        disk.refuses = False
        dropped = spool.put([(b"a", 8)])
        assert spool.spans == (11 if refuses else 14) - dropped
        assert sum(one.spans for one in _taken(spool)) == (11 if refuses else 14) - dropped
        assert (spool.bytes, spool.spans) == (0, 0)


def _taken(spool: Spool) -> Iterator[Spooled]:
    while spooled := spool.first():
        yield spooled
        spool.replace_first(spooled.key)


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.integers(0, 3000) | st.just("take") | st.just("reopen"), max_size=30),
    limit_bytes=st.integers(4_000, 12_000),
)
def test_every_request_is_counted(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int | str], limit_bytes: int
) -> None:
    """For any puts, removals and reopenings: put = removed + evicted + waiting, in order and within the bound."""
    folder = tmp_path_factory.mktemp("law")
    spool = opened(folder, limit_bytes)
    put: list[int] = []
    taken: list[int] = []
    dropped = 0
    for number, step in enumerate(steps):
        if step == "reopen":
            spool.close()
            spool = opened(folder, limit_bytes)
        elif step == "take":
            if first := spool.first():
                taken.append(int(first.request[:4]))
                spool.replace_first(first.key)
        else:
            dropped += spool.put([(b"%04d" % number + bytes(int(step)), 1)])
            put.append(number)
        assert spool.bytes <= limit_bytes
        assert len(put) == len(taken) + dropped + spool.spans
    rest = [int(request[:4]) for request in drained(spool)]
    spool.close()
    assert taken + rest == sorted(taken + rest)
    assert set(taken + rest) <= set(put)
