"""UDP payload in, its JSON objects out, as structs with typed fields.

`parse_strict` accepts what current SDKs send: one object with known keys. `parse_lenient` accepts everything else
(arrays, several objects, wrong types, other spellings, invalid UTF-8, unknown keys) and drops an unusable field, never
the object.

A `Wire` holds the access key and the session token. None outlives the run of `csm_otel.csm.decoding.decode`.
"""

from __future__ import annotations

import json
import math
import re
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from csm_otel.csm.dialects import DISTINGUISHING_KEYS
from csm_otel.errors import MalformedDatagramError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_OBJECTS = 1024  # in one datagram: 65,535 bytes hold no more than some 900 events of the smallest useful kind
# After a syntax error, parsing resumes at the next line, which the failed parse may already have consumed: quadratic
# without a bound. Twice the largest datagram is enough for any datagram that was cut.
_MAX_WASTED_CHARS = 2 * 65_535
_MAX_DIGITS = 19
_MAX_FLOAT = 10**18  # exclusive
_KEY = re.compile(rb'[{,]\s*"([A-Za-z0-9]{1,40})"\s*:')


class Wire(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Every key that any release of any SDK sends, spelled as on the wire."""

    Type: str | None = None
    Version: int | None = None
    ClientId: str | None = None
    Service: str | None = None
    Api: str | None = None
    Timestamp: int | float | None = None
    Region: str | None = None
    UserAgent: str | None = None
    # ApiCall
    Latency: int | None = None
    AttemptCount: int | None = None
    MaxRetriesExceeded: int | None = None
    ApiCallTimeout: int | None = None
    FinalHttpStatusCode: int | None = None
    FinalAwsException: str | int | None = None
    FinalAwsExceptionMessage: str | None = None
    FinalSdkException: str | int | None = None
    FinalSdkExceptionMessage: str | None = None
    # ApiCallAttempt
    AttemptLatency: int | None = None
    Fqdn: str | None = None
    AccessKey: str | None = None
    SessionToken: str | None = None
    HttpStatusCode: int | None = None
    XAmznRequestId: str | None = None
    XAmzRequestId: str | None = None
    XAmzId2: str | None = None
    AwsException: str | int | None = None
    AwsExceptionMessage: str | None = None
    SdkException: str | int | None = None
    SdkExceptionMessage: str | None = None
    DestinationIp: str | None = None
    ConnectionReused: int | None = None
    AcquireConnectionLatency: int | None = None
    ConnectLatency: int | None = None
    RequestLatency: int | None = None
    DnsLatency: int | None = None
    TcpLatency: int | None = None
    SslLatency: int | None = None
    TimeToFirstByte: int | None = None
    TimeToConnect: int | None = None

    def __repr__(self) -> str:
        return "Wire(...)"


_NAMES = {name.lower(): name for name in Wire.__struct_fields__}
_EXCEPTION_NAMES = {"FinalAwsException", "FinalSdkException", "AwsException", "SdkException"}
_NUMBERS = {
    "Version", "Timestamp", "Latency", "AttemptCount", "MaxRetriesExceeded", "ApiCallTimeout", "FinalHttpStatusCode",
    "AttemptLatency", "HttpStatusCode", "ConnectionReused", "AcquireConnectionLatency", "ConnectLatency",
    "RequestLatency", "DnsLatency", "TcpLatency", "SslLatency", "TimeToFirstByte", "TimeToConnect",
}  # fmt: skip
_FLAGS = {"MaxRetriesExceeded", "ApiCallTimeout", "ConnectionReused"}

_decoder = msgspec.json.Decoder(Wire)


class WireObject(NamedTuple):
    """One parsed object."""

    wire: Wire
    keys: list[str]
    """The first keys in order."""


def parse_strict(payload: bytes) -> Wire | None:
    """Return the object, or None if the payload is anything but one object with known keys of the right types.

    None instead of an exception, which would carry parts of the payload along as the context of later ones.
    """
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def first_keys(payload: bytes) -> list[str]:
    """Return the first keys, in order, of a payload that `parse_strict` accepts."""
    return [key[1].decode() for key in islice(_KEY.finditer(payload), DISTINGUISHING_KEYS)]


def parse_lenient(payload: bytes) -> Iterator[WireObject | MalformedDatagramError]:
    """Yield each object of the payload, arrays flattened, and an error (not raised) in place of anything else.

    The errors' reasons are ``not_json``, ``not_an_object``, ``too_deep`` and, as the last item, ``too_many``: there
    were more than `MAX_OBJECTS` values, or too much that is not JSON, and the rest is not read.
    """
    for count, value in enumerate(_values(payload)):
        if count == MAX_OBJECTS:
            yield MalformedDatagramError("too_many")
            return
        if isinstance(value, dict):
            yield WireObject(_wire(value), list(islice(value, DISTINGUISHING_KEYS)))
        else:
            yield value if isinstance(value, MalformedDatagramError) else MalformedDatagramError("not_an_object")


def _values(payload: bytes) -> Iterator[object]:
    """Yield each JSON value of the payload, arrays flattened; a `MalformedDatagramError` in place of a syntax error."""
    text = payload.decode("utf-8", "replace").lstrip("\ufeff")
    decoder = json.JSONDecoder(parse_int=_parse_int)
    at = 0
    wasted_chars = 0
    while (at := _skip_whitespace(text, at)) < len(text):
        if wasted_chars > _MAX_WASTED_CHARS:
            yield MalformedDatagramError("too_many")
            return
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            # at least to the end of the line: the error of an unterminated string has the position of its start
            wasted_chars += _line_end(text, error.pos) - at
            yield MalformedDatagramError("not_json")
            at = _line_end(text, at)
            continue
        except RecursionError:
            yield MalformedDatagramError("too_deep")
            return
        if isinstance(value, list):
            yield from value
        else:
            yield value


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _skip_whitespace(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n\x00\ufeff":
        at += 1
    return at


def _parse_int(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MAX_DIGITS else None


def _wire(value: dict[str, Any]) -> Wire:
    fields: dict[str, Any] = {}
    for key, item in value.items():
        name = _NAMES.get(key.lower())
        if name is None:
            continue
        if name in _NUMBERS:
            kept: object = _number(item, flag=name in _FLAGS)
        elif name in _EXCEPTION_NAMES:
            kept = item if isinstance(item, str) else _number(item, flag=False)
        else:
            kept = item if isinstance(item, str) else None
        # the same key in two spellings: a usable value wins
        if kept is not None or name not in fields:
            fields[name] = kept
    return Wire(**fields)


def _number(item: object, *, flag: bool) -> int | None:
    """Return an int, a float or a numeric string as an int, a boolean only for a ``flag``; else None."""
    if isinstance(item, bool):
        return int(item) if flag else None
    if isinstance(item, str):
        try:
            item = float(item) if len(item) <= _MAX_DIGITS else None
        except ValueError:
            return None
    if isinstance(item, float):
        return int(item) if math.isfinite(item) and abs(item) < _MAX_FLOAT else None
    return item if isinstance(item, int) else None
