"""Values to JSON, whatever texts they have: `json_bytes`."""

from __future__ import annotations

import msgspec


def json_bytes(value: object) -> bytes:
    """Return a value as JSON. A lone surrogate, as in file names that are not UTF-8, is a question mark."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_cleaned(msgspec.to_builtins(value)))


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(entry) for key, entry in value.items()}
    return [_cleaned(entry) for entry in value] if isinstance(value, list | tuple) else value
