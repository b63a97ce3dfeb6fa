"""Print "ready", then the name of each signal received; after a line on stdin print the counts as JSON."""

import collections
import json
import os
import select
import signal

counts: collections.Counter[str] = collections.Counter()


def write_line(line: str) -> None:
    """Write a line at once; print() must not be re-entered from a handler."""
    os.write(1, f"{line}\n".encode())


def count(number: int, _frame: object) -> None:
    """Count one signal."""
    name = signal.Signals(number).name
    counts[name] += 1
    write_line(name)


# A signal just before a read would be handled only after it; the descriptor ends the select.
readable, writable = os.pipe()
os.set_blocking(writable, False)
signal.set_wakeup_fd(writable)
for watched in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    signal.signal(watched, count)
write_line("ready")
while 0 not in select.select([0, readable], [], [])[0]:
    os.read(readable, 1)
write_line(json.dumps(counts))
