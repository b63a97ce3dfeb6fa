"""Python's collector of reference cycles, which is of no use until a run has been put together.

Imports allocate for good. To have the collector search what they have allocated, again and again, takes a twentieth of
the time of a start, and later 12 ms at a time, in which nothing is received. A daemon, which starts once, has it search
meanwhile all the same, which saves half a megabyte.
"""

from __future__ import annotations

import gc


def defer_collection() -> None:
    """Collect nothing from now on; before the imports."""
    gc.disable()


def begin_collection() -> None:
    """Collect what will be allocated from now on; what has been is kept for good."""
    gc.freeze()
    gc.enable()
