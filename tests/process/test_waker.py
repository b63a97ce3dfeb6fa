"""Wakers: readable when woken, unreadable when cleared, never full; and the queue that a selector can wait on."""

from __future__ import annotations

import os
import select
from concurrent.futures import ThreadPoolExecutor

import pytest
from children.processes import DEADLINE_SECONDS

from csm_otel.process.waker import SelectableQueue, Waker


def is_awake(waker: Waker | SelectableQueue[int]) -> bool:
    """Return whether a selector would return."""
    return bool(select.select([waker], [], [], 0)[0])


@pytest.mark.parametrize("wakes", [0, 1, 4096, 100_000])
def test_any_number_of_wakes(wakes: int) -> None:
    """However often it is woken, wake never blocks, and one clear makes it unreadable again."""
    waker = Waker()
    for _ in range(wakes):
        waker.wake()
    assert is_awake(waker) == (wakes > 0)
    waker.clear()
    assert not is_awake(waker)
    waker.wake()
    assert is_awake(waker)
    waker.close()


def test_after_its_end() -> None:
    """A wake that comes too late does no harm."""
    waker = Waker()
    waker.close()
    waker.wake()
    waker.clear()


def test_a_write_to_its_descriptor() -> None:
    """A byte written to its descriptor wakes it, as the interpreter does with a signal's number."""
    waker = Waker()
    os.write(waker.wakeup_fd(), b"x")
    assert is_awake(waker)
    waker.close()


def test_a_queue() -> None:
    """Items are popped in order, all at once; the queue is readable while there are any."""
    queue: SelectableQueue[int] = SelectableQueue()
    assert (len(queue.items), is_awake(queue), queue.pop_all()) == (0, False, [])
    for item in (1, 2, 3):
        queue.put(item)
    assert (len(queue.items), is_awake(queue)) == (3, True)
    assert (queue.pop_all(), len(queue.items), is_awake(queue)) == ([1, 2, 3], 0, False)
    queue.put(4)
    assert (is_awake(queue), queue.pop_all()) == (True, [4])
    queue.close()


def test_items_put_at_once() -> None:
    """Several items are put like one; none, and any put while others wait, need no wake."""
    queue: SelectableQueue[int] = SelectableQueue(capacity=3)
    queue.put()
    assert not is_awake(queue)
    queue.put(1, 2)
    assert is_awake(queue)
    queue._waker.clear()
    queue.put(3)
    assert not is_awake(queue)
    assert queue.pop_all() == [1, 2, 3]
    queue.put(4, 5, 6, 7)
    assert (is_awake(queue), queue.pop_all()) == (True, [5, 6, 7])
    queue.close()


def test_a_wake_without_an_item() -> None:
    """A queue can be made readable though it is empty, or full, until it is popped."""
    queue: SelectableQueue[int] = SelectableQueue(capacity=1)
    queue.wake()
    assert (len(queue.items), is_awake(queue)) == (0, True)
    assert (queue.pop_all(), is_awake(queue)) == ([], False)
    queue.put(1)
    queue.wake()
    assert (queue.pop_all(), is_awake(queue)) == ([1], False)
    queue.close()


def test_a_queues_capacity() -> None:
    """Beyond its capacity the oldest items are dropped."""
    queue: SelectableQueue[int] = SelectableQueue(capacity=3)
    for item in range(100_000):
        queue.put(item)
    assert queue.pop_all() == [99_997, 99_998, 99_999]
    queue.close()


def test_a_closed_queue() -> None:
    """An item put too late is no error."""
    queue: SelectableQueue[int] = SelectableQueue()
    queue.close()
    queue.put(1)
    assert queue.pop_all() == [1]


def test_a_queue_between_threads() -> None:
    """No item that one thread puts is lost or duplicated while another pops."""
    queue: SelectableQueue[int] = SelectableQueue()
    popped: list[int] = []

    def put_all() -> None:
        for item in range(10_000):
            queue.put(item)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(put_all)
        while len(popped) < 10_000:
            assert select.select([queue], [], [], DEADLINE_SECONDS)[0]
            popped += queue.pop_all()
        done.result()
    assert popped == list(range(10_000))
    queue.close()
