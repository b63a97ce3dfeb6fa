"""Build Jaeger v2 from its source into the cache, once: a Go toolchain comes in, a binary goes out.

Jaeger's v2 tags cannot be resolved by the Go toolchain (the module path has no ``/v2``), but up to v2.13.0 each v2
release is the same commit as a v1 tag, and its ``cmd/jaeger`` is the v2 binary (its CHANGELOG.md: "v1.76.0 / v2.13.0").
``go install MODULE@VERSION`` rejects a module with replace directives, so the source is fetched, compared with the sum
pinned here, and built as the main module: its own go.sum then verifies every dependency.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

JAEGER_VERSION = "2.13.0"
MODULE = "github.com/jaegertracing/jaeger"
MODULE_VERSION = "v1.76.0"
MODULE_SUM = "h1:sWCOOF1dr+NL0PLil7mFo3BqqQL8k4WiM7aguFbc14g="
NEEDED_GO = (1, 24, 6)  # the go line of the module's go.mod
FIRST_SWITCHING_GO = (1, 21, 0)  # from here on go can fetch a newer toolchain

DOWNLOAD_SECONDS = 600.0
BUILD_SECONDS = 1500.0  # 250 to 450 cold on two cores, depending on load; the rest is for slow machines


class InstallError(Exception):
    """Raised when Go is there and Jaeger still cannot be built."""


def cache_folder() -> Path:
    """Return the folder of everything that interoperability tests install, whether or not it exists."""
    given = os.environ.get("CSM_OTEL_CACHE")
    return Path(given or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "csm-otel").absolute()


def cached_binary() -> Path:
    """Return the path of this version's binary, whether or not it exists."""
    return cache_folder() / f"jaeger-{JAEGER_VERSION}" / "jaeger"


def find_binary() -> Path | None:
    """Return ``JAEGER_BIN``, else the cached binary, else None.

    Raises:
        InstallError: ``JAEGER_BIN`` is set and is no executable file.
    """
    given = os.environ.get("JAEGER_BIN")
    binary = Path(given).absolute() if given else cached_binary()
    if binary.is_file() and os.access(binary, os.X_OK):
        return binary
    if given:
        message = f"JAEGER_BIN={given} is no executable file"
        raise InstallError(message)
    return None


def missing_toolchain() -> str | None:
    """Return the toolchain that is missing to build Jaeger, for an operator, or None."""
    needed = ".".join(map(str, NEEDED_GO))
    if shutil.which("go") is None:
        return f"the Go toolchain (go >= {needed} on the PATH)"
    found = _go("env", "GOVERSION", "GOTOOLCHAIN", folder=Path.cwd(), seconds=60).split()
    version = _version(found[0])
    switches = found[-1].endswith("auto")
    if version >= NEEDED_GO or (version >= FIRST_SWITCHING_GO and switches):
        return None
    return f"a newer Go toolchain (go >= {needed}; {found[0]} may not fetch one)"


def install() -> Path:
    """Build the binary and return it; `InstallError` leaves the cache as it was."""
    binary = cached_binary()
    binary.parent.mkdir(parents=True, exist_ok=True)
    # Beside its final place, so that the rename at the end is atomic, even with two installers at once.
    with tempfile.TemporaryDirectory(prefix="build-", dir=binary.parent) as folder:
        scratch = Path(folder)
        with _timed(f"fetching {MODULE}@{MODULE_VERSION}"):
            archive = _fetch(scratch)
        with _timed("unpacking it"):
            source = _unpack(archive, scratch)
        with _timed(f"building v{JAEGER_VERSION}"):
            built = _build(source, scratch)
        built.replace(binary)
    return binary


def _fetch(scratch: Path) -> Path:
    answer = _go("mod", "download", "-json", f"{MODULE}@{MODULE_VERSION}", folder=scratch, seconds=DOWNLOAD_SECONDS)
    module = json.loads(answer)
    if module["Sum"] != MODULE_SUM:
        message = f"{MODULE}@{MODULE_VERSION} has the sum {module['Sum']}, not the pinned {MODULE_SUM}"
        raise InstallError(message)
    return Path(module["Zip"])


def _unpack(archive: Path, scratch: Path) -> Path:
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(scratch)
    return scratch / f"{MODULE}@{MODULE_VERSION}"


def _build(source: Path, scratch: Path) -> Path:
    built = scratch / "jaeger"
    stamp = f"-X {MODULE}/internal/version.latestVersion=v{JAEGER_VERSION}"
    flags = ("-mod=readonly", "-buildvcs=false", f"-ldflags={stamp}")
    _go("build", *flags, "-o", str(built), "./cmd/jaeger", folder=source, seconds=BUILD_SECONDS)
    return built


def _go(*arguments: str, folder: Path, seconds: float) -> str:
    """Run go in a folder and return what it printed; GOWORK is off, so no workspace around the folder counts.

    Raises:
        InstallError: go fails or takes too long; with the last lines it printed, on whichever stream.
    """
    try:
        done = subprocess.run(
            ("go", *arguments),
            cwd=folder,
            env={**os.environ, "GOWORK": "off"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        message = f"go {arguments[0]} took longer than {seconds:.0f} s"
        raise InstallError(message) from late
    if done.returncode:
        last_lines = "\n".join((done.stderr or done.stdout).strip().splitlines()[-10:])
        message = f"go {arguments[0]} failed with exit code {done.returncode}:\n{last_lines}"
        raise InstallError(message)
    return done.stdout


def _version(text: str) -> tuple[int, ...]:
    """Parse ``go1.24.6`` into numbers; anything but a release (``go1.25rc1``, a development build) counts as old."""
    release = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in release.groups()) if release else (0,)


@contextmanager
def _timed(label: str) -> Generator[None, None, None]:
    started = time.monotonic()
    try:
        yield
    finally:
        _say(f"{label}: {time.monotonic() - started:.0f} s")


def _say(line: str) -> None:
    sys.stderr.write(f"jaeger: {line}\n")
    sys.stderr.flush()


def main() -> int:
    """Install Jaeger unless it is there; return 0 also without Go, which is reported and makes the tests skip."""
    try:
        _say(_installed_or_skipped())
    except InstallError as error:
        _say(str(error))
        return 1
    return 0


def _installed_or_skipped() -> str:
    binary = find_binary()
    if binary is not None:
        return f"{binary} is there"
    missing = missing_toolchain()
    if missing is not None:
        return f"skipped, it needs {missing}"
    return f"installed {install()}"


if __name__ == "__main__":
    sys.exit(main())
