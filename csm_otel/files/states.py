"""The states of a queue that a thread drains, their transitions, and `StateMachine`, which enforces them.

Both queues use them: `csm_otel.files.write_queue` to a file, `csm_otel.delivery.queue` to a back end.

A queue that is OPEN keeps entries within its bounds, and its thread works through it in order. `close` begins with
CLOSING: what is there still goes out, and `close` waits for it. It stops waiting when nothing is left, at its deadline,
without progress, or when it is cancelled: the queue is STOPPED then. Nothing more is begun, and what is put is dropped,
but what the thread has in hand may still be accounted for. Finally all that remains is counted as kept or dropped, and
the queue is CLOSED: a thread that a hung disk or back end releases later changes no count any more.

Only the first `close` moves a queue on; a further one returns at once, whichever state it finds. `cancel` may be called
from a signal handler, in the middle of any step, and therefore makes no transition: it is an input, like the time, that
ends the wait in CLOSING.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

S = TypeVar("S", bound=Enum)


class QueueState(Enum):
    """The stages of a queue's life."""

    OPEN = auto()
    CLOSING = auto()
    STOPPED = auto()
    CLOSED = auto()

    @property
    def is_running(self) -> bool:
        """Whether entries are still accepted."""
        return self in {QueueState.OPEN, QueueState.CLOSING}


QUEUE_TRANSITIONS: Mapping[QueueState, frozenset[QueueState]] = {
    QueueState.OPEN: frozenset({QueueState.CLOSING}),
    QueueState.CLOSING: frozenset({QueueState.STOPPED}),
    QueueState.STOPPED: frozenset({QueueState.CLOSED}),
    QueueState.CLOSED: frozenset(),
}


class StateMachine(Generic[S]):
    """A state that changes only along the transitions of a table. For one thread at a time."""

    def __init__(self, transitions: Mapping[S, frozenset[S]], initial: S) -> None:
        self._transitions = transitions
        self._state = initial

    @property
    def state(self) -> S:
        """The state it is in."""
        return self._state

    def to(self, state: S) -> None:
        """Change to a state.

        Raises:
            RuntimeError: the table has no such transition, which is a defect of the caller.
        """
        if state not in self._transitions[self._state]:
            raise RuntimeError(f"no transition from {self._state.name} to {state.name}")
        self._state = state
