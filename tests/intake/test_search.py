"""The processes of senders: likely ones at once, others by a scan, which is paced; real sockets, time on numbers."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from children.processes import next_line, python, started
from intake.sending import SENDER, closed_port, own_socket
from platforms import on_linux

from csm_otel.csm.events import Peer
from csm_otel.intake import search as search_module
from csm_otel.intake.glances import Holder
from csm_otel.intake.procfs.process import describe
from csm_otel.intake.search import LookupRequest, Pace, Search

if TYPE_CHECKING:
    from csm_otel.csm.events import Origin


class Answers:
    """A search, and its answers."""

    def __init__(self) -> None:
        self.found: list[tuple[Peer, int]] = []
        """Peers, with the pids of their processes."""
        self.failed: list[Peer] = []
        self.search = Search(self._add, self.failed.append)

    def _add(self, peer: Peer, inode: int, origin: Origin) -> None:
        assert inode > 0
        self.found.append((peer, origin.pid))

    def request(self, *peers: Peer) -> None:
        """Request a check of the likely processes for peers."""
        self.search.check_likely([LookupRequest(peer, None) for peer in peers])


@pytest.fixture
def no_latest_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make no process one of the latest."""
    monkeypatch.setattr(search_module, "_LATEST_PIDS", 0)


def no_scan() -> list[int]:
    """Replaces the pids of all processes in tests without a scan."""
    pytest.fail("all processes were scanned")


def test_pauses_grow() -> None:
    """The first time is due at once; the pauses grow, so that no second has more than ten times."""
    pace = Pace(step_seconds=0.02)
    times = []
    for step in range(5000):
        now = 100.0 + step / 1000
        if pace.is_due(now=now):
            pace.add(now=now)
            times.append(now)

    assert times[0] == pytest.approx(100.0)
    assert [round(later - earlier, 3) for earlier, later in pairwise(times[:5])] == pytest.approx(
        [0.02, 0.04, 0.06, 0.08], abs=0.0011
    )
    assert all(later - earlier >= 1 for earlier, later in zip(times, times[10:], strict=False))
    assert len(times) > 30


def test_a_rest_ends_the_row() -> None:
    """After a second of rest the next time is due at once, and the pause after it is a short one again."""
    pace = Pace(step_seconds=0.02)
    for now in (0.0, 0.1, 0.2, 0.3):
        assert pace.is_due(now=now)
        pace.add(now=now)
    assert pace.next_due() == pytest.approx(0.38)
    assert not pace.is_due(now=0.37)

    assert pace.is_due(now=1.3)
    pace.add(now=1.3)

    assert pace.next_due() == pytest.approx(1.32)


@on_linux
@pytest.mark.usefixtures("no_latest_process")
def test_a_scan_serves_all_that_wait() -> None:
    """A process that is not a likely one is found by a scan; a free port fails at once."""
    answers = Answers()
    closed = closed_port()
    with own_socket() as first, own_socket() as second:
        answers.request(first, second, closed)
        assert (answers.found, answers.failed) == ([], [closed])
        assert answers.search.next_scan() == pytest.approx(0.0)

        answers.search.scan_if_due(now=100.0)

    assert sorted(answers.found) == sorted([(first, os.getpid()), (second, os.getpid())])
    assert answers.search.next_scan() is None


@on_linux
@pytest.mark.usefixtures("no_latest_process")
def test_a_scan_waits_until_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its time nothing is scanned; a scan that finds nothing answers nevertheless."""
    monkeypatch.setattr(search_module, "newest_first", list)
    answers = Answers()
    with own_socket() as peer:
        answers.request(peer)
        answers.search.scan_if_due(now=100.0)
        assert answers.failed == [peer]
        answers.request(peer)
        due = answers.search.next_scan()
        assert due == pytest.approx(100.02)

        answers.search.scan_if_due(now=100.01)
        assert answers.failed == [peer]
        answers.search.scan_if_due(now=100.03)

    assert answers.failed == [peer, peer]
    assert answers.search.next_scan() is None


@on_linux
@pytest.mark.usefixtures("no_latest_process")
def test_another_socket_of_a_known_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was found before is found by its other sockets without a scan."""
    answers = Answers()
    with own_socket() as first:
        answers.request(first)
        answers.search.scan_if_due(now=0.0)
    monkeypatch.setattr(search_module, "newest_first", no_scan)
    with own_socket() as second:
        answers.request(second)

    assert answers.found == [(first, os.getpid()), (second, os.getpid())]


@on_linux
def test_one_of_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has just been started is found without a scan."""
    monkeypatch.setattr(search_module, "_LATEST_PIDS", 10_000)  # other processes may start as many in between
    answers = Answers()
    with started(python(SENDER)) as process:
        peer = Peer("127.0.0.1", int(next_line(process.stdout).partition(" ")[0]))
        answers.request(peer)

    assert answers.found == [(peer, process.pid)]


@on_linux
def test_a_process_found_by_a_glance() -> None:
    """It needs no further search, not even if its socket has been closed since."""
    answers = Answers()
    own = describe(os.getpid())
    assert own is not None
    closed = closed_port()

    answers.search.check_likely([LookupRequest(closed, Holder(2**40, own))])

    assert (answers.found, answers.failed) == ([(closed, os.getpid())], [])
