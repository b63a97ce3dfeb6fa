"""Files of a program, read up to a bound, and folders that may be looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_MOST_BYTES = 1024**2


def text_of(path: Path, most_bytes: int = _MOST_BYTES) -> str:
    """Return the beginning of a file, "" if it cannot be read or is not a file."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            return file.read(most_bytes).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""


def end_of(path: Path, most_bytes: int) -> bytes:
    """Return the last bytes of a file, none if it is not one."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - most_bytes, 0))
            return file.read(most_bytes)
    except (OSError, ValueError):
        return b""


def is_folder(path: Path) -> bool:
    """Return whether there is a folder that may be looked at; code given in place of a script makes no valid path."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def folders_above(path: Path) -> tuple[Path, ...]:
    """Return the folder of a file and all above it, nearest first."""
    return tuple(path.absolute().parents)
