"""Lookups in a separate thread: real sockets and processes, and a thread that fails or is stopped."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from children.processes import DEADLINE_SECONDS, next_line, python, started
from intake.sending import SENDER, closed_port, own_socket
from otlp_backend import wait_until
from platforms import on_linux

from csm_otel.csm.events import Ended, Peer
from csm_otel.intake import search
from csm_otel.intake.lookup import Lookup, Resolution
from csm_otel.intake.procfs.process import describe
from csm_otel.intake.search import LookupRequest

if TYPE_CHECKING:
    from collections.abc import Generator

    import pytest

PEER = Peer("127.0.0.1", 1)


@contextmanager
def running(*, capacity: int = 100) -> Generator[Lookup]:
    """Yield a lookup that is stopped at the end."""
    with closing(Lookup(capacity=capacity)) as lookup:
        lookup.start()
        try:
            yield lookup
        finally:
            lookup.stop()


def results(lookup: Lookup, count: int) -> list[Resolution | Ended]:
    """Return that many results as soon as they are there."""
    popped: list[Resolution | Ended] = []
    deadline = time.monotonic() + DEADLINE_SECONDS
    while len(popped) < count:
        left = deadline - time.monotonic()
        assert select.select([lookup], [], [], max(left, 0))[0], f"only {popped}"
        popped += lookup.pop_results()
    return popped


@on_linux
def test_an_answer_to_each_request() -> None:
    """A peer is answered with its process, or with none if no process has its socket any more."""
    closed = closed_port()
    with running() as lookup, own_socket() as peer:
        for one in (peer, closed):
            lookup.request(LookupRequest(one, None))
        origins = {one.peer: one.origin for one in results(lookup, 2) if isinstance(one, Resolution)}

    found = origins[peer]
    assert found is not None
    assert found.pid == os.getpid()
    assert origins[closed] is None


@on_linux
def test_the_end_of_a_process() -> None:
    """The end of a process is reported with its peers, as no other process holds their socket."""
    with running() as lookup, started(python(SENDER)) as process:
        peer = Peer("127.0.0.1", int(next_line(process.stdout).partition(" ")[0]))
        lookup.request(LookupRequest(peer, None))
        (resolution,) = results(lookup, 1)
        process.send_signal(signal.SIGKILL)
        (ended,) = results(lookup, 1)

    assert isinstance(resolution, Resolution)
    assert isinstance(ended, Ended)
    assert [end.origin for end in ended.processes] == [resolution.origin]
    assert ended.peers == [peer]


@on_linux
def test_an_end_before_it_is_stopped() -> None:
    """When it is stopped, each process that has ended by then has been reported, once."""
    with running() as lookup:
        with started(python(SENDER)) as process:
            peer = Peer("127.0.0.1", int(next_line(process.stdout).partition(" ")[0]))
            lookup.request(LookupRequest(peer, None))
            results(lookup, 1)
        lookup.stop()

        ended = [end.origin.pid for one in lookup.pop_results() if isinstance(one, Ended) for end in one.processes]
        assert ended == [process.pid]
        assert not lookup.is_alive


@on_linux
def test_an_end_just_as_it_is_stopped() -> None:
    """A process that ends after the thread's last wait is reported nevertheless."""
    with closing(Lookup(capacity=10)) as lookup:
        with started(python(SENDER)) as process:
            port, inode = map(int, next_line(process.stdout).split())
            origin = describe(process.pid)
            assert origin is not None
            lookup._found(Peer("127.0.0.1", port), inode, origin)
        lookup.stop()
        lookup.start()
        lookup.stop()

        ended = [end.origin for one in lookup.pop_results() if isinstance(one, Ended) for end in one.processes]
    assert ended == [origin]


def test_a_flood_of_requests_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a check is slow only a bounded number of requests waits, the latest ones."""
    begun, may_go_on = threading.Event(), threading.Event()
    checked: list[Peer] = []

    def check(_: object, requests: list[LookupRequest]) -> None:
        begun.set()
        assert may_go_on.wait(DEADLINE_SECONDS)
        checked.extend(request.peer for request in requests)

    monkeypatch.setattr(search.Search, "check_likely", check)
    flood = [Peer("127.0.0.2", port) for port in range(100)]
    with running(capacity=10) as lookup:
        lookup.request(LookupRequest(PEER, None))
        assert begun.wait(DEADLINE_SECONDS)
        for peer in flood:
            lookup.request(LookupRequest(peer, None))
        assert len(lookup._requests.items) == 10
        may_go_on.set()
        wait_until(lambda: flood[-1] in checked)

    assert checked == [PEER, *flood[-10:]]


def test_a_thread_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lookup that fails altogether is not alive: its answers need not be waited for."""

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(search.Search, "check_likely", fail)
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    with running() as lookup:
        lookup.request(LookupRequest(PEER, None))
        lookup._thread.join(DEADLINE_SECONDS)

        assert not lookup.is_alive
        assert not lookup.results


def test_a_scan_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopping gives up at its deadline, and the thread keeps its descriptors until it is through; then it stops."""
    begun, may_go_on = threading.Event(), threading.Event()

    def check(*_: object) -> None:
        begun.set()
        assert may_go_on.wait(DEADLINE_SECONDS)

    monkeypatch.setattr(search.Search, "check_likely", check)
    lookup = Lookup(capacity=10)
    lookup.start()
    lookup.request(LookupRequest(PEER, None))
    assert begun.wait(DEADLINE_SECONDS)

    lookup.stop(deadline=0.0)
    lookup.close()

    assert lookup.is_alive
    assert lookup.fileno() >= 0
    for port in range(10):  # as many as there is room for
        lookup.request(LookupRequest(Peer("127.0.0.2", port), None))
    may_go_on.set()
    lookup._thread.join(DEADLINE_SECONDS)
    lookup.close()
    assert not lookup.is_alive
    assert lookup.fileno() == -1


def test_one_that_was_never_started() -> None:
    """Without its thread there are no results, and it can be stopped and closed."""
    with closing(Lookup(capacity=10)) as lookup:
        assert not lookup.is_alive
        lookup.stop()
        assert lookup.pop_results() == []
