"""The account that an access key id belongs to: 12 digits are written into the key id itself."""

from __future__ import annotations

import base64
import binascii

_PREFIXES = ("AKIA", "ASIA")
_LENGTH = 20
_MASK = 0x7FFF_FFFF_FF80
_MARK = 0x8000_0000_0000  # the top bit of the six bytes; keys made before 2019 do not have it and hold no account


def account_of(access_key_id: str) -> str | None:
    """Return the 12-digit account of a key id, or None where it holds none.

    It is the account of the credentials, not of the resource they were used on.
    """
    if len(access_key_id) != _LENGTH or not access_key_id.startswith(_PREFIXES):
        return None
    try:
        value = int.from_bytes(base64.b32decode(access_key_id[4:])[:6], "big")
    except (binascii.Error, ValueError):
        return None
    account = (value & _MASK) >> 7
    return f"{account:012d}" if value & _MARK and account else None
