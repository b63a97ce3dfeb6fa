"""The AWS SDK of a Java program, by the names in its jars and folders."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from csm_otel.doctor.sdk import UNKNOWN, too_old, with_csm, without_csm
from csm_otel.doctor.texts import end_of, is_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from csm_otel.doctor.sdk import Sdk

_V1 = re.compile(rb"\bcom/amazonaws/|\baws-java-sdk-(?:core|bundle)-1[\w.]*\.jar")
_V2 = re.compile(rb"\bsoftware/amazon/awssdk/|\b(?:aws|sdk)-core-2[\d.]*\.jar|\bbundle-2[\d.]*\.jar")
_KOTLIN = re.compile(rb"\baws/sdk/kotlin/|\baws-core-jvm-1[\d.]*\.jar")
_CORE_OF_V1 = b"com/amazonaws/AmazonWebServiceClient"
_CSM = b"com/amazonaws/monitoring/"
_DIRECTORY_BYTES = 8 * 1024**2
"""Of a jar: its names are at its end, uncompressed, some 100 bytes each."""
_MOST_BYTES = 4 * _DIRECTORY_BYTES
"""Of all jars of a class path."""
_MANIFEST_BYTES = 1024**2
_PACKAGES = ("com/amazonaws/", "software/amazon/awssdk/", "aws/sdk/kotlin/")
_CLASS_PATH = ("-cp", "-classpath", "--class-path")


def sdk_of_java(argv: Sequence[str], target: str, environ: Mapping[str, str]) -> Sdk:
    """Return the SDK of a program; ``target`` is its jar or class."""
    names = _names(list(_class_path(argv, target, environ)))
    if _V1.search(names):
        if _CORE_OF_V1 in names and _CSM not in names:
            return too_old("the AWS SDK for Java v1", "use version 1.12 of aws-java-sdk-core")
        return with_csm("the AWS SDK for Java v1")
    if _V2.search(names):
        return without_csm("the AWS SDK for Java v2", "the OpenTelemetry Java agent")
    if _KOTLIN.search(names):
        return without_csm("the AWS SDK for Kotlin", "its aws.smithy.kotlin:telemetry-provider-otel")
    return UNKNOWN


def _class_path(argv: Sequence[str], target: str, environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the jars and folders of a class path, which a jar to be run replaces."""
    if target.endswith(".jar"):
        jar = Path(target)
        yield jar
        yield from (jar.parent / name for name in _class_path_of(jar))
        return
    given = environ.get("CLASSPATH", "")
    for option, value in pairwise(argv):
        given = value if option in _CLASS_PATH else given
    for option in argv:
        given = option.removeprefix("--class-path=") if option.startswith("--class-path=") else given
    for entry in filter(None, given.split(":")):
        if entry.endswith("*"):
            yield from sorted(Path(entry).parent.glob("*.jar"))
        else:
            yield Path(entry)


def _class_path_of(jar: Path) -> list[str]:
    """Return the other jars that the manifest of a jar names."""
    import zipfile  # ruff: ignore[import-outside-top-level] - for Java only

    try:
        with zipfile.ZipFile(jar) as archive, archive.open("META-INF/MANIFEST.MF") as file:
            text = file.read(_MANIFEST_BYTES).decode("utf-8", "replace")
    except (OSError, KeyError, ValueError, RuntimeError, NotImplementedError, EOFError, zipfile.BadZipFile):
        return []
    lines = re.sub(r"\r?\n ", "", text).splitlines()
    return next((line.split()[1:] for line in lines if line.lower().startswith("class-path:")), [])


def _names(entries: Sequence[Path]) -> bytes:
    """Return the names of the jars, and those in the jars and folders, as far as they identify an SDK."""
    names = [str(entry).encode(errors="replace") for entry in entries]
    left = _MOST_BYTES
    for entry in entries:
        if entry.suffix == ".jar":
            end = end_of(entry, min(left, _DIRECTORY_BYTES))
            left -= len(end)
            names.append(end)
        else:
            names += [name.encode() for name in _PACKAGES if is_folder(entry / name)]
        if left <= 0:
            break
    return b"\n".join(names)
