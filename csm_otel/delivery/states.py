"""The states of delivery and of the spool behind it, and their transitions.

Theory of operation. Three machines make up the delivery queue; one lock guards them all.

The queue itself is OPEN, CLOSING, STOPPED or CLOSED, as `csm_otel.files.states` has it: only the first `close` moves it
on.

The oldest request, and with it the back end, is in a `RequestState`. IDLE: the next request is sent as soon as there is
one. SENDING: one delivery is under way; no second is begun meanwhile, so that the order stays. Its outcome decides:

| Outcome | state | what follows |
|---|---|---|
| `Delivered`, `Refused`, `TooLarge` of one span | ACCOUNTING | the request is removed and counted; IDLE |
| `TooLarge` | ACCOUNTING | its halves take its place; IDLE, or BACKING_OFF where the disk refuses them |
| `Unavailable` | BACKING_OFF | the request stays; the then oldest one is sent once the backoff is over |

ACCOUNTING is a separate state because a disk may be slow: `close` waits for it, as a request that was delivered
must not be counted as spooled.

With a spool, a second thread moves requests from memory to disk: `DiskState`. MOVING and RETRYING: a batch is being
written and stays in memory meanwhile. REFUSED: the disk did not accept the last one, so requests stay in memory, and
are delivered from there once the disk has nothing older; the next attempt is RETRYING, and only its success makes the
disk READY again.

When the queue is STOPPED nothing more is sent or moved. A request that is SENDING then is counted as spooled or
dropped, whatever its outcome; `close` waits for ACCOUNTING and MOVING, for `DISK_GRACE_SECONDS` at most.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class RequestState(Enum):
    """The state of the oldest request."""

    IDLE = auto()
    SENDING = auto()
    ACCOUNTING = auto()
    BACKING_OFF = auto()


REQUEST_TRANSITIONS: Mapping[RequestState, frozenset[RequestState]] = {
    RequestState.IDLE: frozenset({RequestState.SENDING}),
    RequestState.SENDING: frozenset({RequestState.ACCOUNTING, RequestState.BACKING_OFF}),
    RequestState.ACCOUNTING: frozenset({RequestState.IDLE, RequestState.BACKING_OFF}),
    RequestState.BACKING_OFF: frozenset({RequestState.SENDING}),
}


class DiskState(Enum):
    """The state of the requests in memory, and whether the disk accepted the last ones."""

    READY = auto()
    MOVING = auto()
    REFUSED = auto()
    RETRYING = auto()


DISK_TRANSITIONS: Mapping[DiskState, frozenset[DiskState]] = {
    DiskState.READY: frozenset({DiskState.MOVING}),
    DiskState.MOVING: frozenset({DiskState.READY, DiskState.REFUSED}),
    DiskState.REFUSED: frozenset({DiskState.RETRYING}),
    DiskState.RETRYING: frozenset({DiskState.READY, DiskState.REFUSED}),
}
