"""Print "ready", then the name of each signal received; after a line on stdin print the counts as JSON.

Arguments: numbers of the signals to count, instead of HUP, INT, QUIT and TERM. A stop signal stops it once
counted; it prints "continued" afterwards.
"""

import collections
import json
import os
import select
import signal
import sys

STOPPING = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)

counts: collections.Counter[str] = collections.Counter()


def write_line(line: str) -> None:
    """Write a line at once; print() must not be re-entered from a handler."""
    os.write(1, f"{line}\n".encode())


def count(number: int, _frame: object) -> None:
    """Count one signal."""
    try:
        name = signal.Signals(number).name
    except ValueError:  # most real-time signals have none
        name = str(number)
    counts[name] += 1
    write_line(name)
    if number in STOPPING:  # as an editor does that has restored the terminal
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
        signal.signal(number, count)
        write_line("continued")


# A signal just before a read would be handled only after it; the descriptor ends the select.
readable, writable = os.pipe()
os.set_blocking(writable, False)
signal.set_wakeup_fd(writable)
for watched in (
    map(int, sys.argv[1:]) if sys.argv[1:] else (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
):
    signal.signal(watched, count)
write_line("ready")
while 0 not in select.select([0, readable], [], [])[0]:
    os.read(readable, 1)
write_line(json.dumps(counts))
