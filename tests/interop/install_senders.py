"""Install every SDK of `sdks` into the cache folder, each once, from package registries.

Ruby's comes from Debian's packages and is installed system-wide. Run as ``python -m interop.install_senders``.
"""

from __future__ import annotations

import fcntl
import shutil
import sys
import time
from typing import TYPE_CHECKING

from interop.install_jaeger import cache_folder
from interop.installable import InstallError
from interop.sdks import sdks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from interop.installable import Installable


def install(wanted: Installable) -> str:
    """Install an SDK if needed and possible, and return a description of the result.

    Raises:
        InstallError: a step failed; the next run begins again.
    """
    if wanted.is_installed:
        return "is there"
    missing = wanted.missing()
    if missing is not None:
        return f"skipped, it needs {missing}"
    started = time.monotonic()
    shutil.rmtree(wanted.folder, ignore_errors=True)  # left by an interrupted run
    wanted.folder.mkdir(parents=True)
    wanted.install(wanted.folder)
    (wanted.folder / "installed").touch()
    return f"installed in {time.monotonic() - started:.0f} s"


def install_all(installables: Iterable[Installable]) -> int:
    """Install all, one after the other; return 1 if one failed, 0 otherwise, also if some were skipped and reported."""
    failed = False
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / "senders.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two at once would remove each other's folders
        for installable in installables:
            try:
                result = install(installable)
            except InstallError as error:
                result = str(error)
                failed = True
            sys.stderr.write(f"{installable.name} ({installable.version}): {result}\n")
            sys.stderr.flush()
    return int(failed)


if __name__ == "__main__":
    sys.exit(install_all(sdks()))
