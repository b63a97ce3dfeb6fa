"""Hands sockets over to a program as systemd does: ``activate.py DESCRIPTOR,... PROGRAM ...`` becomes the program.

Its descriptors from 3 on are those sockets, and LISTEN_PID is its own, unless the variable is set.
"""

from __future__ import annotations

import fcntl
import os
import sys

_FIRST, _APART = 3, 100  # out of each other's way


def main() -> None:
    """Become the program."""
    kept = [fcntl.fcntl(int(text), fcntl.F_DUPFD, _APART) for text in sys.argv[1].split(",")]
    os.closerange(_FIRST, _APART)
    for number, descriptor in enumerate(kept, _FIRST):
        os.dup2(descriptor, number)
        os.close(descriptor)
    variables = {"LISTEN_FDS": str(len(kept)), "LISTEN_PID": str(os.getpid())}
    os.execvpe(sys.argv[2], sys.argv[2:], variables | os.environ)


if __name__ == "__main__":
    main()
