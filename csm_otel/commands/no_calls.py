"""Why a command's AWS calls were not seen, judged by its words and files: `likeliest_reason`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.doctor.command import check_command

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MOST_BYTES = 16 * 1024**2  # of a program: some 10 ms, for which nobody asked


def likeliest_reason(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the first finding about the command, in a few words; empty if there is none."""
    findings = check_command(command, environ, most_bytes=_MOST_BYTES).findings
    return findings[0].what if findings else ""
