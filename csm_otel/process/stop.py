"""Signals that stop this process, for waits in a selector (`StopSignal`) or in a read (`interruptible`).

Theory of operation
===================
- The first signal requests the stop: it makes a descriptor readable, and the process ends in order.
- The second one ends the process at once. From the first on the kernel does that, by the default disposition, because a
  Python handler would have to wait until the interrupted call returns. As PID 1, which the kernel ends by no signal
  without a handler, the handler stays and exits.
- A process that counts what it has lost may have the second one cancel what it waits for instead (`on_second`). It then
  ends by that signal itself, or is ended by it a moment later. The third one ends it as the second one would have.
- Signals that come together are one. timeout(1) signals its child and then the whole process group, the child included:
  signals within a twentieth of a second of the first count with it.
- A signal that was ignored at the start (nohup, a background job) stays ignored.
- Other signals may ask the running process for something instead (`requests`): they end nothing, so they are handled
  even where they were ignored, and one that comes while the process ends is too late.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import threading
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
# Until a process that was asked to cancel is given up, and as long again until it ends in any case.
_CANCELLING_SECONDS = 1.0


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
        self.second_number = 0
        """The second signal received, where `on_second` has a use for it; 0 if none has been."""
        self._on_second: tuple[Callable[[], None], Callable[[], None]] | None = None
        self._clock = clock
        self._is_second_next = False
        """Whether the next signal is the second one: not until those that come together with the first are over."""
        self._handled = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
        self._waker = Waker()
        # Python interrupts select() only to run handlers and then goes back to waiting; a readable descriptor ends it.
        signal.set_wakeup_fd(self._waker.wakeup_fd(), warn_on_full_buffer=False)
        self._requested: set[int] = set()
        self._set(self._receive)
        for number in requests:
            signal.signal(number, lambda number, _frame: self._requested.add(number))

    def is_set(self) -> bool:
        """Return whether a signal has been received."""
        return bool(self.number)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable with the first signal, or with a request until it is taken."""
        return self._waker.fileno()

    def on_second(self, cancel: Callable[[], None], give_up: Callable[[], None]) -> None:
        """Have the second signal call ``cancel``, in the main thread, which is to finish then and to `end_by_second`.

        If it does not within a moment, ``give_up`` is called in another thread, and the process ends.
        """
        self._on_second = cancel, give_up
        if self._is_second_next:
            self._set(self._receive_second)

    def end_by_second(self) -> None:
        """End the process by the second signal, if there was one that `on_second` had a use for."""
        if not self.second_number:
            return
        if os.getpid() != _INIT_PID:
            os.kill(os.getpid(), self.second_number)
        os._exit(_SIGNAL_EXIT + self.second_number)

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
            return
        self.number = number  # before any call, within which Python may handle another
        self.received_at = self._clock()
        _wait_for_those_together(number)
        self._is_second_next = True
        self._set(_exit if self._on_second is None else self._receive_second)

    def _receive_second(self, number: int, _frame: FrameType | None) -> None:
        if self.second_number or self._on_second is None:
            return
        self.second_number = number
        cancel, give_up = self._on_second
        with contextlib.suppress(RuntimeError):  # without another thread there is the third signal
            threading.Thread(target=self._give_up_later, args=(give_up,), name="give-up", daemon=True).start()
        cancel()
        _wait_for_those_together(number)
        self._set(_exit)

    def _give_up_later(self, give_up: Callable[[], None]) -> None:
        time.sleep(_CANCELLING_SECONDS)
        last = threading.Timer(_CANCELLING_SECONDS, self.end_by_second)
        last.daemon = True
        last.start()
        give_up()
        self.end_by_second()

    def _set(self, handler: Callable[[int, FrameType | None], None]) -> None:
        """Have later signals handled so; a handler that Python was about to call before is called all the same."""
        is_for_the_kernel = handler == _exit and os.getpid() != _INIT_PID
        for number in self._handled:
            signal.signal(number, signal.SIG_DFL if is_for_the_kernel else handler)


def _exit(number: int, _frame: FrameType | None) -> None:
    os._exit(_SIGNAL_EXIT + number)


def _wait_for_those_together(number: int) -> None:
    """Have signals that come together with this one handled before the next handler is set."""
    time.sleep(_TOGETHER_SECONDS)
    signal.raise_signal(number)  # Python handles signals received meanwhile here, too


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
