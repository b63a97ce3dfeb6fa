"""Signals that stop this process, for waits in a selector (`StopSignal`) or in a read (`interruptible`).

Theory of operation
===================
- The first signal requests the stop: it makes a descriptor readable, and the process ends in order.
- The second one ends the process at once. From the first on the kernel does that, by the default disposition, because a
  Python handler would have to wait until the interrupted call returns. As PID 1, which the kernel ends by no signal
  without a handler, the handler stays and exits.
- Signals that come together are one. timeout(1) signals its child and then the whole process group, the child included:
  signals within a twentieth of a second of the first count with it.
- A signal that was ignored at the start (nohup, a background job) stays ignored.
- Other signals may ask the running process for something instead (`requests`): they end nothing, so they are handled
  even where they were ignored, and one that comes while the process ends is too late.
"""

from __future__ import annotations

import io
import math
import os
import select
import signal
import time
from typing import TYPE_CHECKING

from csm_otel.process.waker import Waker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

    from _typeshed import WriteableBuffer

_SIGNAL_EXIT = 128  # what a shell adds to a signal's number
_INIT_PID = 1
_TOGETHER_SECONDS = 0.05  # no human presses a key that fast


class StopSignal:
    """Set by the first of its signals; the second ends the process at once, unless it comes together with the first."""

    def __init__(
        self,
        *numbers: signal.Signals,
        requests: Iterable[signal.Signals] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Install the handlers; call it in the main thread. ``clock`` returns monotonic seconds."""
        self.number = 0
        """The first signal received; 0 if none has been."""
        self.received_at = 0.0
        """Its time, in monotonic seconds."""
        self._clock = clock
        self._second_from = math.inf
        """The monotonic second from which another signal is a second one."""
        self._handled = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
        self._waker = Waker()
        # Python interrupts select() only to run handlers and then goes back to waiting; a readable descriptor ends it.
        signal.set_wakeup_fd(self._waker.wakeup_fd(), warn_on_full_buffer=False)
        self._requested: set[int] = set()
        for number in self._handled:
            signal.signal(number, self._receive)
        for number in requests:
            signal.signal(number, lambda number, _frame: self._requested.add(number))

    def is_set(self) -> bool:
        """Return whether a signal has been received."""
        return bool(self.number)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable with the first signal, or with a request until it is taken."""
        return self._waker.fileno()

    def take_requests(self) -> set[int]:
        """Return those of the ``requests`` received since the last call; call it from the main thread."""
        # Also where nothing was requested: the wake of a signal may come after its request was taken. And before they
        # are taken: one that comes now is taken, too, or wakes again.
        self._waker.clear()
        if self.is_set():
            self._waker.wake()
        requested, self._requested = self._requested, set()
        return requested

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self.number:
            # Not one that Python was about to handle when the first arrived: it is handled here only now.
            if self._clock() >= self._second_from:
                os._exit(_SIGNAL_EXIT + number)
            return
        self.number = number  # before any call, within which Python may handle another
        self.received_at = self._clock()
        time.sleep(_TOGETHER_SECONDS)
        signal.raise_signal(number)  # Python handles signals received meanwhile here, too
        self._second_from = self._clock() + _TOGETHER_SECONDS
        if os.getpid() != _INIT_PID:
            for handled in self._handled:
                signal.signal(handled, signal.SIG_DFL)


def interruptible(descriptor: int, stop: StopSignal) -> io.BufferedReader:
    """Return a reader of a descriptor, which it owns, that reaches its end once ``stop`` is set.

    The descriptor may be that of a file, a pipe or a terminal.
    """
    return io.BufferedReader(_Interruptible(descriptor, stop))


class _Interruptible(io.RawIOBase):
    def __init__(self, descriptor: int, stop: StopSignal) -> None:
        self._descriptor = descriptor
        self._stop = stop

    def readable(self) -> bool:  # ruff: ignore[no-self-use] - the protocol asks
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        while True:
            # not a selector, which accepts no plain files
            select.select([self._descriptor, self._stop.fileno()], [], [])
            if self._stop.is_set():
                return 0
            try:
                return os.readv(self._descriptor, [buffer])
            except BlockingIOError:
                continue  # a pipe without a writer yet, or read by another process

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()
