"""Run ``limited.py LIMIT MORE COMMAND...`` as ``csm-otel exec``, with a limit from the start of the command on.

The limit is what is in use by then, and ``MORE``: ``as`` in bytes of address space, ``nofile`` in descriptors.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from csm_otel.commands.cli import main
from csm_otel.process.child import Child

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LIMIT, MORE = sys.argv[1], int(sys.argv[2])
start = Child.start


def start_and_limit(argv: Sequence[str], environ: Mapping[str, str]) -> Child:
    """Start the command, and set the limit."""
    used_bytes = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    child = start(argv, environ)
    if LIMIT == "as":
        resource.setrlimit(resource.RLIMIT_AS, (used_bytes + MORE, resource.RLIM_INFINITY))
    else:
        unused = os.dup(0)
        os.close(unused)
        resource.setrlimit(resource.RLIMIT_NOFILE, (unused + MORE, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    return child


Child.start = start_and_limit  # type: ignore[method-assign]
sys.argv[1:] = ["exec", "--", *sys.argv[3:]]
main()
