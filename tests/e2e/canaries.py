"""Generated secrets, the datagrams that contain them, and the search for their remains."""

from __future__ import annotations

import json
import random
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from datagrams import attempt_fields, call_fields

from csm_otel.csm.events import Dialect

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = 16
MESSAGE_LIMIT = 512
"""The length at which senders cut messages."""

_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_PREFIXES = ("AKIA", "ASIA", "AROA", "AIDA", "AGPA", "ANPA", "ANVA", "APKA", "ABIA", "ACCA", "ASCA")
_HEADS = ("FQoG", "FwoG", "IQoJ", "AQoD", "AQoE", "AgoJ", "IgoJ")
_CALL_FIELDS = (
    "FinalAwsException", "FinalAwsExceptionMessage", "FinalSdkException", "FinalSdkExceptionMessage", "XAmznRequestId",
    "UserAgent", "ClientId", "Service", "Api", "Region",
)  # fmt: skip
_ATTEMPT_FIELDS = (
    "AwsException", "AwsExceptionMessage", "SdkException", "SdkExceptionMessage", "XAmznRequestId", "XAmzRequestId",
    "XAmzId2", "UserAgent", "ClientId", "Service", "Api", "Region", "Fqdn", "DestinationIp",
)  # fmt: skip


class Canaries(NamedTuple):
    """Secrets that must not come out, and the payloads that contain them."""

    secrets: tuple[str, ...]
    payloads: list[bytes]
    events: int
    """The number of events in the payloads."""


def plant(seed: int) -> Canaries:
    """Generate every kind of secret in every kind of place."""
    chance = random.Random(seed)
    secrets: list[str] = []

    def secret(letters: str, length: int, head: str = "") -> str:
        secrets.append(head + "".join(chance.choices(letters, k=length)))
        return secrets[-1]

    texts = list(_texts(secret))
    payloads: list[bytes] = []
    events = 0
    for text in texts:
        # whole; cut within the secret; in the middle of a message
        cut = ("x" * (MESSAGE_LIMIT - len(text) * 2 // 3) + " " + text)[:MESSAGE_LIMIT]
        for variant in (text, cut, f"Access denied: ({text}), sorry"):
            for names, fields in ((_CALL_FIELDS, call_fields), (_ATTEMPT_FIELDS, attempt_fields)):
                for name in names:
                    # none competes with another for attempts
                    changes = {"ClientId": f"sender-{events}", name: variant}
                    payloads.append(json.dumps(fields(Dialect.JS, **changes)).encode())
                    events += 1
    for number, text in enumerate(texts):
        key, token = secret(_BASE32, 16, "ASIA"), secret(_BASE64, 300, "IQoJ")
        own: dict[str, Any] = {"AccessKey": key, "SessionToken": token}
        # their own secrets, also in pieces that no pattern matches
        quoting = f"The key is {key}, of {token[40:90]} and {token[-20:]}: {text}"[:MESSAGE_LIMIT]
        event = attempt_fields(Dialect.JS, **own, AwsExceptionMessage=quoting, XAmzId2=token[7:60], ClientId=key)
        odd = {"AccessKey": [key], "SessionToken": {"a": token}, "Type": text}
        payloads += json.dumps(event).encode(), json.dumps([odd, event]).encode()
        payloads += _malformed(text, json.dumps(own | {"Type": "ApiCall", text: text}), number)
        payloads.append(
            json.dumps(call_fields(Dialect.JS, **{text: text, "Unknown": [text]})).encode() + b"\n" + payloads[-1]
        )
        events += 3
    return Canaries(tuple(secrets), payloads, events)


def _texts(secret: Any) -> Iterator[str]:
    for prefix in _PREFIXES:
        yield secret(_BASE32, 16, prefix)
    for head in _HEADS:
        yield secret(_BASE64, 300, head)
    key = secret(_BASE32, 16, "AKIA")
    token = secret(_BASE64, 200, "FwoG")
    signature = secret("0123456789abcdef", 64)
    yield (
        f"https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={key}%2F20261125%2Fus-east-1%2F"
        f"s3%2Faws4_request&X-Amz-Signature={signature}&X-Amz-Security-Token={quote(token, safe='')}"
    )
    secrets_of_v2 = secret(_BASE32, 16, "AKIA"), secret(_BASE64, 27)
    yield f"https://b.s3.amazonaws.com/k?AWSAccessKeyId={secrets_of_v2[0]}&Expires=1&Signature={secrets_of_v2[1]}%3D"
    yield f"Encoded authorization failure message: {secret(_BASE64.replace('+/', '-_'), 400)}"
    yield f"aws_secret_access_key = {secret(_BASE64, 40)}"
    yield f"x-amz-security-token:{secret(_BASE64, 200)}"
    key = secret(_BASE32, 16, "AKIA")
    yield f"<AWSAccessKeyId>{key}</AWSAccessKeyId><SignatureProvided>{secret(_BASE64, 27)}="
    key, signature = secret(_BASE32, 16, "ASIA"), secret("0123456789abcdef", 64)
    yield f"Authorization: AWS4-HMAC-SHA256 Credential={key}/20261125, Signature={signature}"
    yield f"Bearer {secret(_BASE64, 60, '1')}"


def _malformed(text: str, own: str, number: int) -> list[bytes]:
    """Return payloads without an event."""
    return [
        text.encode(),
        own[: len(own) // 2].encode(),
        own.encode(),
        own.encode("utf-16"),
        json.dumps([text, {"Type": text}, number]).encode(),
        b"[" * 2000 + text.encode(),
        json.dumps({"Type": {text: text}}).encode(),
    ]


@cache
def _pieces(secrets: tuple[str, ...]) -> tuple[frozenset[bytes], frozenset[bytes]]:
    """Return all pieces, and every block of 8 bytes in them; each piece covers one that starts at a multiple of 9."""
    forms = {form for secret in secrets for form in (secret, quote(secret, safe=""))}
    pieces = {form[at : at + PIECE].encode() for form in forms for at in range(len(form) - PIECE + 1)}
    return frozenset(pieces), frozenset(piece[at : at + 8] for piece in pieces for at in range(9))


def found(secrets: tuple[str, ...], data: bytes) -> set[str]:
    """Return the pieces of 16 characters of secrets that occur in the bytes, percent-encoded or not."""
    pieces, blocks = _pieces(secrets)
    hits: set[str] = set()
    for at in range(0, len(data), 9):
        if data[at : at + 8] in blocks:
            around = data[max(at - 8, 0) : at + PIECE]
            windows = (around[start : start + PIECE] for start in range(len(around) - PIECE + 1))
            hits |= {window.decode() for window in windows if window in pieces}
    return hits
