"""The SDKs that `make interop` runs: where each comes from and how its sender is run.

Every sender is one small program in senders/ that makes the same calls with its SDK. It is started as

    COMMAND ENDPOINT ATTEMPTS READ_TIMEOUT_MS WORKERS CALL...

where each CALL is ``PutObject/LABEL`` or ``GetItem/LABEL``: put an object of that key into the bucket ``interop``, get
the item of that ``id`` from the table ``interop``. WORKERS calls are made at once, each in at most ATTEMPTS tries. Once
a call has ended, stdout gets a line of JSON: its ``api`` and ``label``, when it ``began`` and ``ended`` by the
program's own clock (epoch seconds), and the name of its ``error`` or null. A failed call is no failure of the program.
The Go sender also accepts ``NewSession`` among the calls: it continues with a new session, and prints nothing.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from interop.installable import Installable, missing_programs, run, step

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCES = Path(__file__).with_name("senders")

AIOBOTOCORE_VERSION = "3.10.0"
AWSCLI_VERSION = "1.46.3"
JAVA_VERSION = "1.12.797"
JAVASCRIPT_VERSION = "2.1693.0"
GO_VERSION = re.findall(r"aws-sdk-go v(\S+)", (SOURCES / "go" / "go.mod").read_text(encoding="utf-8"))[0]
FIRST_BOTO3_WITH_CSM = ("boto3==1.9.68", "botocore==1.12.68")
OLD_MINORS = range(6, 10)  # its vendored requests imports names that Python 3.10 removed
OLD_BOTO3_OF_TODAY = ("boto3==1.28.0", "botocore==1.31.0")  # still runs on Python 3.11 to 3.13
RUBY_PACKAGES = ("ruby", "ruby-aws-sdk-core", "ruby-aws-sdk-s3")

APIS = ("PutObject", "GetItem")
PROBE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sdk(Installable):
    """An SDK and its sender; its ``sources`` are below senders/, the program first."""

    command: Callable[[Path], tuple[str | Path, ...]]
    """Returns the program to start, given the folder that `install` filled."""
    apis: tuple[str, ...] = APIS
    below: Path = SOURCES
    shelf: str = "senders"
    installed_by: str = "make interop"


def sdks() -> tuple[Sdk, ...]:
    """Return every SDK, installed or not."""
    return (_boto3(), _oldest_boto3(), _aiobotocore(), _awscli(), _javascript(), _go(), _java(), _ruby())


def _boto3() -> Sdk:
    source = "boto3_sender.py"
    return Sdk(
        name="boto3",
        version=importlib.metadata.version("boto3"),
        sources=(source,),
        command=lambda _: (sys.executable, SOURCES / source),
    )


def _oldest_boto3() -> Sdk:
    """Return the first boto3 that had CSM if a Python is found that it runs on, else one that runs on ours."""
    old_python = _old_python()
    python = old_python or Path(sys.executable)
    pins = FIRST_BOTO3_WITH_CSM if old_python else OLD_BOTO3_OF_TODAY
    return _of_pypi("boto3-oldest", pins, "boto3_sender.py", python)


def _aiobotocore() -> Sdk:
    pins = (f"aiobotocore=={AIOBOTOCORE_VERSION}",)
    return _of_pypi("aiobotocore", pins, "aiobotocore_sender.py", Path(sys.executable))


def _awscli() -> Sdk:
    pins = (f"awscli=={AWSCLI_VERSION}",)
    return _of_pypi("awscli-v1", pins, "awscli_sender.py", Path(sys.executable))


def _of_pypi(name: str, pins: tuple[str, ...], source: str, python: Path) -> Sdk:
    def install(folder: Path) -> None:
        step(python, "-m", "venv", folder / "venv")
        pip = (folder / "venv" / "bin" / "python", "-m", "pip", "--disable-pip-version-check")
        # Old pips fail on this variable; an empty one counts as unset.
        step(*pip, "install", "--quiet", *pins, PIP_NO_CACHE_DIR="")

    major_minor = _printed(python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
    return Sdk(
        name=name,
        version=f"{pins[0].partition('==')[2]} on Python {major_minor}",
        sources=(source,),
        command=lambda folder: (folder / "venv" / "bin" / "python", SOURCES / source),
        install=install,
    )


def _javascript() -> Sdk:
    source = "sender.js"

    def install(folder: Path) -> None:
        flags = ("--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
        step("npm", "install", *flags, "--prefix", folder, f"aws-sdk@{JAVASCRIPT_VERSION}")

    return Sdk(
        name="javascript-v2",
        version=JAVASCRIPT_VERSION,
        sources=(source,),
        command=lambda folder: ("env", f"NODE_PATH={folder / 'node_modules'}", "node", SOURCES / source),
        missing=lambda: missing_programs("node", "npm"),
        install=install,
    )


def _go() -> Sdk:
    sources = ("go/main.go", "go/go.mod", "go/go.sum")

    def install(folder: Path) -> None:
        flags = ("-mod=readonly", "-buildvcs=false")
        step("go", "build", *flags, "-o", folder / "sender", ".", cwd=SOURCES / "go", GOWORK="off")

    return Sdk(
        name="go-v1",
        version=GO_VERSION,
        sources=sources,
        command=lambda folder: (folder / "sender",),
        missing=lambda: missing_programs("go"),
        install=install,
    )


def _java() -> Sdk:
    sources = ("java/Sender.java", "java/pom.xml")

    def install(folder: Path) -> None:
        pom = shutil.copy(SOURCES / "java" / "pom.xml", folder)  # Maven writes next to it
        goal = ("dependency:copy-dependencies", f"-DoutputDirectory={folder / 'lib'}", f"-Daws.version={JAVA_VERSION}")
        step("mvn", "--quiet", "--batch-mode", "--file", pom, *goal)
        step("javac", "-cp", folder / "lib" / "*", "-d", folder, SOURCES / sources[0])

    return Sdk(
        name="java-v1",
        version=JAVA_VERSION,
        sources=sources,
        command=lambda folder: ("java", "-XX:TieredStopAtLevel=1", "-cp", f"{folder}:{folder / 'lib' / '*'}", "Sender"),
        missing=lambda: missing_programs("java", "javac", "mvn"),
        install=install,
    )


def _ruby() -> Sdk:
    source = "sender.rb"

    def missing() -> str | None:
        if _has_ruby_sdk() or (shutil.which("apt-get") and os.geteuid() == 0):
            return None
        return f"Debian's {', '.join(RUBY_PACKAGES)} (apt-get as root installs them)"

    def install(_: Path) -> None:
        if _has_ruby_sdk():
            return
        step("apt-get", "update", "-qq")
        step("apt-get", "install", "-qq", "--no-install-recommends", *RUBY_PACKAGES, DEBIAN_FRONTEND="noninteractive")

    return Sdk(
        name="ruby-v3",
        version="Debian's",
        sources=(source,),
        command=lambda _: ("ruby", SOURCES / source),
        missing=missing,
        install=install,
        apis=("PutObject",),
    )


def _has_ruby_sdk() -> bool:
    return _succeeds("ruby", "-e", "require 'aws-sdk-s3'")


@cache
def _old_python() -> Path | None:
    """Return the oldest Python that can create an environment for the first boto3 with CSM, from the PATH or pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for minor in OLD_MINORS:
        found = [Path(f"python3.{minor}"), *sorted(pyenv.glob(f"3.{minor}.*/bin/python3.{minor}"))]
        for python in found:
            if _succeeds(python, "-c", "import ensurepip, venv"):  # pyenv has a shim for each, and most of them fail
                return python
    return None


def _succeeds(*command: str | Path) -> bool:
    try:
        return run(command, seconds=PROBE_SECONDS).returncode == 0
    except FileNotFoundError:
        return False


def _printed(*command: str | Path) -> str:
    return run(command, seconds=PROBE_SECONDS).stdout.strip()
