"""Run ``wrapper.py COMMAND [ARG...]`` like ``csm-otel exec``, with the process control only.

Environment: WITHOUT_SIGWAITINFO=1 removes what macOS lacks. COMMAND_PATH is the command's PATH. WRAPPER_STEPS=1
reports on stderr when the command has been started and has ended, and then waits for an interruption. WRAPPER_STEPS=2
does the same, and then blocks for ever.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

if os.environ.pop("WITHOUT_SIGWAITINFO", None):
    signal.__dict__.pop("sigwaitinfo", None)

from csm_otel.errors import CommandError
from csm_otel.process.child import Child

DEADLINE_SECONDS = 60


def main() -> int:
    """Return the exit code of the command."""
    environ = dict(os.environ)
    environ["PATH"] = environ.pop("COMMAND_PATH", environ["PATH"])
    steps = environ.pop("WRAPPER_STEPS", None)
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # as exec has one; the command must not inherit it
    try:
        child = Child.start(sys.argv[1:], environ)
    except CommandError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if steps:
        print(f"started {child.pid}", file=sys.stderr, flush=True)
    exit_code = child.wait()
    if steps:
        print(f"ended {exit_code} {child.interrupted.is_set()}", file=sys.stderr, flush=True)
        print(f"interrupted {child.interrupted.wait(DEADLINE_SECONDS)}", file=sys.stderr, flush=True)
    if steps == "2":
        os.read(os.pipe()[0], 1)
    receiver.close()
    return exit_code


sys.exit(main())
