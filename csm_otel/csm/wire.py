"""One UDP payload to the JSON objects in it, with the types that their keys should have.

`read_plain` takes what the SDKs send today: one object with known keys. `read_anything` takes the rest - arrays,
several objects, odd types, odd spelling, bad UTF-8, unknown keys - and drops an odd field, never the object.

A `Wire` holds the access key and the session token. It lives as long as `csm_otel.csm.decoding.decode` runs.
"""

from __future__ import annotations

import json
import math
import re
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from csm_otel.errors import MalformedDatagramError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_OBJECTS = 1024  # in one datagram: 65,535 bytes hold no more than some 900 events of the smallest useful kind
# After what is not JSON, reading goes on at the next line, which the failed try may have read already. Twice the
# largest datagram is more than any cut one needs; unbounded, lines nested in each other cost their square.
_MAX_READ_IN_VAIN = 2 * 65_535  # characters, in one datagram
_MAX_DIGITS = 19
_TOO_BIG = 10**18
_TELLING_KEYS = 7  # the order of so many tells the SDKs apart
_KEY = re.compile(rb'[{,]\s*"([A-Za-z0-9]{1,40})"\s*:')


class Wire(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Every key that some SDK, or some release of one, sends. None of them outlives decoding."""

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


_FIELDS = {name.lower(): name for name in Wire.__struct_fields__}
_EXCEPTION_NAMES = {"FinalAwsException", "FinalSdkException", "AwsException", "SdkException"}
_NUMBERS = {
    "Version", "Timestamp", "Latency", "AttemptCount", "MaxRetriesExceeded", "ApiCallTimeout", "FinalHttpStatusCode",
    "AttemptLatency", "HttpStatusCode", "ConnectionReused", "AcquireConnectionLatency", "ConnectLatency",
    "RequestLatency", "DnsLatency", "TcpLatency", "SslLatency", "TimeToFirstByte", "TimeToConnect",
}  # fmt: skip
_FLAGS = {"MaxRetriesExceeded", "ApiCallTimeout", "ConnectionReused"}

_plain = msgspec.json.Decoder(Wire)


class WireObject(NamedTuple):
    """One object, and how to get the first of its keys, in order: few senders are not known by their user agent."""

    wire: Wire
    keys: Callable[[], list[str]]


def read_plain(payload: bytes) -> WireObject | None:
    """Return the object, or None for what is not plain; no exception, as its text would travel on as a context."""
    try:
        wire = _plain.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return WireObject(wire, lambda: [key[1].decode() for key in islice(_KEY.finditer(payload), _TELLING_KEYS)])


def read_anything(payload: bytes) -> Iterator[WireObject | MalformedDatagramError]:
    """Yield each object of the payload, arrays opened, and an error, not raised, in the place of what is none.

    The errors' reasons are ``not_json``, ``not_an_object``, ``too_deep`` and, once and last, ``too_many``: more than
    `MAX_OBJECTS`, or too much in vain, lies before the rest, which is not read.
    """
    for count, value in enumerate(_values(payload)):
        if count == MAX_OBJECTS:
            yield MalformedDatagramError("too_many")
            return
        if isinstance(value, dict):
            yield WireObject(_wire(value), list(value)[:_TELLING_KEYS].copy)
        else:
            yield value if isinstance(value, MalformedDatagramError) else MalformedDatagramError("not_an_object")


def _values(payload: bytes) -> Iterator[object]:
    """Yield each JSON value of the payload, arrays opened; a `MalformedDatagramError` in place of what is not JSON."""
    text = payload.decode("utf-8", "replace").lstrip("\ufeff")
    decoder = json.JSONDecoder(parse_int=_parse_int)
    at = 0
    read_in_vain = 0
    while (at := _skip_blanks(text, at)) < len(text):
        if read_in_vain > _MAX_READ_IN_VAIN:
            yield MalformedDatagramError("too_many")
            return
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            # to the end of the line: of a string without an end the error tells the start
            read_in_vain += _line_end(text, error.pos) - at
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


def _skip_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n\x00\ufeff":
        at += 1
    return at


def _parse_int(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MAX_DIGITS else None


def _wire(value: dict[str, Any]) -> Wire:
    fields: dict[str, Any] = {}
    for key, item in value.items():
        name = _FIELDS.get(key.lower())
        if name is None:
            continue
        if name in _NUMBERS:
            kept: object = _number(item, flag=name in _FLAGS)
        elif name in _EXCEPTION_NAMES:
            kept = item if isinstance(item, str) else _number(item, flag=False)
        else:
            kept = item if isinstance(item, str) else None
        # the same key in two spellings: the one that says something
        if kept is not None or name not in fields:
            fields[name] = kept
    return Wire(**fields)


def _number(item: object, *, flag: bool) -> int | None:
    """Return an int, integral float (fractions only of a millisecond are cut), or numeric string as an int."""
    if isinstance(item, bool):
        return int(item) if flag else None
    if isinstance(item, str):
        try:
            item = float(item) if len(item) <= _MAX_DIGITS else None
        except ValueError:
            return None
    if isinstance(item, float):
        return int(item) if math.isfinite(item) and abs(item) < _TOO_BIG else None
    return item if isinstance(item, int) else None
