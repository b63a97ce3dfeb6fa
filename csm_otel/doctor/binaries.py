"""The AWS SDK that is compiled into a program, by the names of packages in it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from csm_otel.doctor.packages import GO_INSTEAD
from csm_otel.doctor.sdk import UNKNOWN, Sdk, too_old, with_csm, without_csm

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MOST_BYTES = 256 * 1024**2
"""Of a program: more than most have."""
_CHUNK_BYTES = 1024**2
_SDKS: dict[bytes, Sdk] = {
    b"github.com/aws/aws-sdk-go/aws/csm": with_csm("the AWS SDK for Go v1"),
    b"github.com/aws/aws-sdk-go-v2/": without_csm("the AWS SDK for Go v2", GO_INSTEAD),
    b"github.com/aws/aws-sdk-go/aws/session": too_old(
        "the AWS SDK for Go v1", "go get github.com/aws/aws-sdk-go@v1.55, and build it again"
    ),
    b"aws-cpp-sdk-core": with_csm("the AWS SDK for C++"),
    b"aws-smithy-runtime": without_csm("the AWS SDK for Rust", "its own observability, aws-smithy-observability-otel"),
    b"AWSClientRuntime": without_csm("the AWS SDK for Swift", "smithy-swift-opentelemetry"),
}
"""By a text that programs contain which use it, best first. Of Go, names of functions are kept in stripped ones, too;
`session` imports `csm` since that exists."""


def sdk_of_binary(program: Path, most_bytes: int = MOST_BYTES) -> Sdk:
    """Return the SDK of a compiled program, of which ``most_bytes`` are read."""
    found = _mentioned(program, tuple(_SDKS), most_bytes)
    return next((sdk for text, sdk in _SDKS.items() if text in found), UNKNOWN)


def _mentioned(program: Path, texts: Sequence[bytes], most_bytes: int) -> set[bytes]:
    """Return those of the texts that a file's first bytes contain."""
    found: set[bytes] = set()
    tail = b""
    with contextlib.suppress(OSError), program.open("rb") as file:
        for _ in range(most_bytes // _CHUNK_BYTES):
            if not (chunk := file.read(_CHUNK_BYTES)):
                break
            found |= {text for text in texts if text in tail + chunk}
            tail = chunk[-max(map(len, texts)) :]
    return found
