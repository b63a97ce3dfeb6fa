"""The file of ``--summary-json``: `write_summary`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from csm_otel.errors import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from csm_otel.summary.model import Summary


def write_summary(path: Path, summary: Summary, *, say: Callable[[str], None]) -> None:
    """Replace a file by a summary as JSON; ``say`` is called with a line for the operator where that fails."""
    text = msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n"
    try:
        # for its owner only, as it holds error messages and account ids
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
    except OSError as error:
        say(f"--summary-json: {path}: {reason_of(error, 'cannot be written')}")
