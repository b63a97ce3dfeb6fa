"""When Python's collector of reference cycles works."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import gc
from csm_otel.process.garbage import begin_collection, defer_collection
defer_collection()
print(gc.isenabled(), gc.get_freeze_count() > 0)
begin_collection()
print(gc.isenabled(), gc.get_freeze_count() > 0)
"""


def test_collection_begins_after_the_start() -> None:
    """Nothing is collected while a run is put together, and none of that afterwards."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == ["False False", "True True"]
