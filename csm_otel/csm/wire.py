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
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from csm_otel.csm.dialects import DISTINGUISHING_KEYS
from csm_otel.csm.events import COUNT_LIMIT, HIGHEST_STATUS, LOWEST_STATUS, MAX_LATENCY_MS, MAX_TIMESTAMP_MS
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


_Timestamp = Annotated[int, Meta(gt=0, le=MAX_TIMESTAMP_MS)] | Annotated[float, Meta(ge=1.0, le=MAX_TIMESTAMP_MS)]
_Latency = Annotated[int, Meta(ge=0, le=MAX_LATENCY_MS)]
_Status = Annotated[int, Meta(ge=LOWEST_STATUS, le=HIGHEST_STATUS)]
_Count = Annotated[int, Meta(ge=0, lt=COUNT_LIMIT)]
_Flag = Annotated[int, Meta(ge=0, le=1)]


class Wire(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Every key that any release of any SDK sends, spelled as on the wire, and with a value that makes sense."""

    Type: str | None = None
    Version: int | None = None
    ClientId: str | None = None
    Service: str | None = None
    Api: str | None = None
    Timestamp: _Timestamp | None = None
    Region: str | None = None
    UserAgent: str | None = None
    # ApiCall
    Latency: _Latency | None = None
    AttemptCount: _Count | None = None
    MaxRetriesExceeded: _Flag | None = None
    ApiCallTimeout: _Flag | None = None
    FinalHttpStatusCode: _Status | None = None
    FinalAwsException: str | int | None = None
    FinalAwsExceptionMessage: str | None = None
    FinalSdkException: str | int | None = None
    FinalSdkExceptionMessage: str | None = None
    # ApiCallAttempt
    AttemptLatency: _Latency | None = None
    Fqdn: str | None = None
    AccessKey: str | None = None
    SessionToken: str | None = None
    HttpStatusCode: _Status | None = None
    XAmznRequestId: str | None = None
    XAmzRequestId: str | None = None
    XAmzId2: str | None = None
    AwsException: str | int | None = None
    AwsExceptionMessage: str | None = None
    SdkException: str | int | None = None
    SdkExceptionMessage: str | None = None
    DestinationIp: str | None = None
    ConnectionReused: _Flag | None = None
    AcquireConnectionLatency: _Latency | None = None
    ConnectLatency: _Latency | None = None
    RequestLatency: _Latency | None = None
    DnsLatency: _Latency | None = None
    TcpLatency: _Latency | None = None
    SslLatency: _Latency | None = None
    TimeToFirstByte: int | None = None
    TimeToConnect: int | None = None
    # csm_otel.csm.encoding, which is no SDK
    ForwardedBy: str | None = None

    def __repr__(self) -> str:
        return "Wire(...)"


_NAMES = {name.lower(): name for name in Wire.__struct_fields__}
_EXCEPTION_NAMES = {"FinalAwsException", "FinalSdkException", "AwsException", "SdkException"}
_ANY = (-COUNT_LIMIT, COUNT_LIMIT)
_LATENCY = (0, MAX_LATENCY_MS)
_STATUS = (LOWEST_STATUS, HIGHEST_STATUS)
_FLAG = (0, 1)
_NUMBERS = {
    "Version": _ANY,
    "Timestamp": (1, MAX_TIMESTAMP_MS),
    "Latency": _LATENCY,
    "AttemptCount": (0, COUNT_LIMIT - 1),
    "MaxRetriesExceeded": _FLAG,
    "ApiCallTimeout": _FLAG,
    "FinalHttpStatusCode": _STATUS,
    "AttemptLatency": _LATENCY,
    "HttpStatusCode": _STATUS,
    "ConnectionReused": _FLAG,
    "AcquireConnectionLatency": _LATENCY,
    "ConnectLatency": _LATENCY,
    "RequestLatency": _LATENCY,
    "DnsLatency": _LATENCY,
    "TcpLatency": _LATENCY,
    "SslLatency": _LATENCY,
    "TimeToFirstByte": _ANY,
    "TimeToConnect": _ANY,
}
"""The lowest and the highest value of each, as the types above have them."""

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
            kept: object = _within(_NUMBERS[name], _number(item, flag=_NUMBERS[name] is _FLAG))
        elif name in _EXCEPTION_NAMES:
            kept = item if isinstance(item, str) else _number(item, flag=False)
        else:
            kept = item if isinstance(item, str) else None
        # the same key in two spellings: a usable value wins
        if kept is not None or name not in fields:
            fields[name] = kept
    return Wire(**fields)


def _within(bounds: tuple[int, int], number: int | None) -> int | None:
    """Return a number within its bounds, else None; a latency that is too long is cut."""
    lowest, highest = bounds
    if number is None or not lowest <= number < COUNT_LIMIT:
        return None
    if number <= highest:
        return number
    return highest if bounds is _LATENCY else None


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
