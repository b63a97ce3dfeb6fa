"""A file to read that ends when the wish to stop comes, however long it has nothing to say: `interruptible`."""

from __future__ import annotations

import io
import os
import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from csm_otel.process.stop import StopSignal


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
