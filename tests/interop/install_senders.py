"""Install every SDK of `sdks` into the cache folder, each once: in go package registries, out come ready senders.

Ruby's comes from Debian's packages and goes where those go. Run as ``python -m interop.install_senders``.
"""

from __future__ import annotations

import fcntl
import shutil
import sys
import time

from interop.install_jaeger import cache_folder
from interop.sdks import InstallError, Sdk, sdks


def install(sdk: Sdk) -> str:
    """Install an SDK where that is needed and possible, and return what was done.

    Raises:
        InstallError: a step failed; the next run begins again.
    """
    if sdk.is_installed:
        return "is there"
    missing = sdk.missing()
    if missing is not None:
        return f"skipped, it needs {missing}"
    started = time.monotonic()
    shutil.rmtree(sdk.folder, ignore_errors=True)  # what a run that was stopped left
    sdk.folder.mkdir(parents=True)
    sdk.install(sdk.folder)
    (sdk.folder / "installed").touch()
    return f"installed in {time.monotonic() - started:.0f} s"


def main() -> int:
    """Install all, one after the other; 1 where one failed, 0 also where something was skipped, which is said."""
    failed = False
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / "senders.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two at once would clear each other's folders
        for sdk in sdks():
            try:
                told = install(sdk)
            except InstallError as error:
                told = str(error)
                failed = True
            sys.stderr.write(f"sender {sdk.name} ({sdk.version}): {told}\n")
            sys.stderr.flush()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
