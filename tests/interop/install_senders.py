"""Install every SDK of `sdks` into the cache folder, each once: in go package registries, out come ready senders.

Ruby's comes from Debian's packages and goes where those go. Run as ``python -m interop.install_senders``.
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
    """Install what is wanted where that is needed and possible, and return what was done.

    Raises:
        InstallError: a step failed; the next run begins again.
    """
    if wanted.is_installed:
        return "is there"
    missing = wanted.missing()
    if missing is not None:
        return f"skipped, it needs {missing}"
    started = time.monotonic()
    shutil.rmtree(wanted.folder, ignore_errors=True)  # what a run that was stopped left
    wanted.folder.mkdir(parents=True)
    wanted.install(wanted.folder)
    (wanted.folder / "installed").touch()
    return f"installed in {time.monotonic() - started:.0f} s"


def install_all(installables: Iterable[Installable]) -> int:
    """Install all, one after the other; 1 where one failed, 0 also where something was skipped, which is said."""
    failed = False
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / "senders.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two at once would clear each other's folders
        for installable in installables:
            try:
                told = install(installable)
            except InstallError as error:
                told = str(error)
                failed = True
            sys.stderr.write(f"{installable.name} ({installable.version}): {told}\n")
            sys.stderr.flush()
    return int(failed)


if __name__ == "__main__":
    sys.exit(install_all(sdks()))
