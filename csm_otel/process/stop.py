"""The wish to stop, as something a selector can wait on."""

from __future__ import annotations

import io
import math
import os
import select
import signal
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

    from _typeshed import WriteableBuffer


_SIGNAL_EXIT = 128  # what a shell adds to a signal's number
_INIT_PID = 1
# timeout(1) tells its child, and then the whole process group, its child included; nobody presses a key that fast.
_TOGETHER_SECONDS = 0.05


class StopSignal:
    """Set by the first of its signals; the second ends the process at once, unless it comes together with the first."""

    def __init__(self, *numbers: signal.Signals) -> None:
        """Take over the signals; call it in the main thread."""
        self.number = 0
        """The first signal that came; 0 while none has."""
        self.came_at = 0.0
        """When that was, in monotonic seconds."""
        self._second_from = math.inf
        """From which monotonic second on another signal is a second one."""
        self._taken = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]  # nohup means it
        self._readable, self._writable = socket.socketpair()
        for end in (self._readable, self._writable):
            end.setblocking(False)
        # Python wakes select() only to run handlers and then goes back to waiting; a readable descriptor ends the wait.
        signal.set_wakeup_fd(self._writable.fileno(), warn_on_full_buffer=False)
        for number in self._taken:
            signal.signal(number, self._receive)

    def is_set(self) -> bool:
        """Return whether the process was told to stop."""
        return bool(self.number)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable with the first signal."""
        return self._readable.fileno()

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self.number:
            # Not one that Python was about to hand over when the first came: it goes on here only now.
            if time.monotonic() >= self._second_from:
                os._exit(_SIGNAL_EXIT + number)
            return
        self.number = number  # before any call, within which Python may hand over another
        self.came_at = time.monotonic()
        time.sleep(_TOGETHER_SECONDS)
        signal.raise_signal(number)  # has Python hand over here, too, what came meanwhile
        self._second_from = time.monotonic() + _TOGETHER_SECONDS
        if os.getpid() != _INIT_PID:  # which the kernel lets nothing end that has no handler
            # From here on the kernel ends us: a handler of Python's has to wait until what it interrupts comes back.
            for taken in self._taken:
                signal.signal(taken, signal.SIG_DFL)


def interruptible(descriptor: int, stop: StopSignal) -> io.BufferedReader:
    """Return what reads a descriptor, which may be that of a pipe or a terminal, and belongs to it from now on."""
    return io.BufferedReader(_Interruptible(descriptor, stop))


class _Interruptible(io.RawIOBase):
    def __init__(self, descriptor: int, stop: StopSignal) -> None:
        self._descriptor = descriptor
        self._stop = stop

    def readable(self) -> bool:  # ruff: ignore[no-self-use] - the protocol asks
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        while True:
            # not a selector, which takes no plain files
            select.select([self._descriptor, self._stop.fileno()], [], [])
            if self._stop.is_set():
                return 0
            try:
                return os.readv(self._descriptor, [buffer])
            except BlockingIOError:
                continue  # a pipe that nobody has opened to write yet, or somebody else has read it

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()
