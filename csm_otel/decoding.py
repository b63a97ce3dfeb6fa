"""One UDP payload to the events in it: `decode`.

A typed fast path takes what the SDKs send today, one object with the known keys. Anything else - arrays, several
objects, odd types, odd spelling, bad UTF-8, unknown keys - goes to a tolerant path that drops an odd field, never the
event. Both end in `_event`, so they agree on everything that the fast one accepts.

The access key and the session token end here: the key becomes the account it belongs to, and both are taken out of
every other text (`redaction`).
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from csm_otel.account import account_of
from csm_otel.dialects import dialect_of_keys, dialect_of_user_agent
from csm_otel.errors import MalformedDatagramError
from csm_otel.events import ApiCall, ApiCallAttempt, Dialect, Event, Failure, Latencies
from csm_otel.redaction import ValueRedactor

if TYPE_CHECKING:
    from collections.abc import Iterator

_WIRE_VERSION = 1
_MAX_EVENTS = 1024  # in one datagram: 65,535 bytes hold no more than some 900 events of the smallest useful kind
_MAX_LATENCY_MS = 24 * 60 * 60 * 1000
_TOO_BIG = 10**18
# Nanoseconds of it, with a day on either side, are a signed 64-bit number: the end of the year 2261.
_MAX_TIMESTAMP_MS = 9_214_646_400_000
_MAX_DIGITS = 19
_LOWEST_STATUS, _HIGHEST_STATUS = 100, 599
# The longest texts any SDK sends are 512 characters; more is a stranger's.
_MAX_TEXT = 2048

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_KEY = re.compile(rb'[{,]\s*"([A-Za-z0-9]{1,40})"\s*:')


class Decoded(NamedTuple):
    """What one payload held."""

    events: list[Event]
    rejected: tuple[str, ...] = ()
    """A reason for each object beside the events that is none."""
    other_versions: int = 0
    """How many events carried a Version other than 1; they are decoded all the same."""


class _Wire(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Every key that some SDK, or some release of one, sends. Nothing of this type leaves the module."""

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
        return "_Wire(...)"


_FIELDS = {name.lower(): name for name in _Wire.__struct_fields__}
_EXCEPTION_NAMES = {"FinalAwsException", "FinalSdkException", "AwsException", "SdkException"}
_NUMBERS = {
    "Version", "Timestamp", "Latency", "AttemptCount", "MaxRetriesExceeded", "ApiCallTimeout", "FinalHttpStatusCode",
    "AttemptLatency", "HttpStatusCode", "ConnectionReused", "AcquireConnectionLatency", "ConnectLatency",
    "RequestLatency", "DnsLatency", "TcpLatency", "SslLatency", "TimeToFirstByte", "TimeToConnect",
}  # fmt: skip
_FLAGS = {"MaxRetriesExceeded", "ApiCallTimeout", "ConnectionReused"}

_fast = msgspec.json.Decoder(_Wire)


def decode(payload: bytes) -> Decoded:
    """Return the events in a UDP payload, in order.

    Raises:
        MalformedDatagramError: nothing in it is a CSM event; ``reason`` is ``empty``, ``not_json``, ``not_an_object``,
            ``too_deep``, ``unknown_type`` or ``unnamed`` (neither Service nor Api).
    """
    wire = _fast_wire(payload)
    if wire is None:
        return _decode_tolerantly(payload)
    event = _event(wire, _first_keys(payload), len(payload), _redactor([wire]))
    return Decoded([event], (), int(wire.Version not in {None, _WIRE_VERSION}))


def _fast_wire(payload: bytes) -> _Wire | None:
    """Return None for what is not plain; not an exception, as its text would travel on as the context of ours."""
    try:
        return _fast.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _first_keys(payload: bytes) -> list[str]:
    return [found[1].decode() for _, found in zip(range(7), _KEY.finditer(payload), strict=False)]


def _decode_tolerantly(payload: bytes) -> Decoded:
    events: list[Event] = []
    rejected: list[str] = []
    wires: list[tuple[_Wire, list[str]]] = []
    other_versions = 0
    for value in _values(payload):
        try:
            wires.append(_wire(value))
        except MalformedDatagramError as error:
            rejected.append(error.reason)
    redactor = _redactor([wire for wire, _ in wires])
    for wire, keys in wires:
        try:
            events.append(_event(wire, keys, len(payload), redactor))
            other_versions += wire.Version not in {None, _WIRE_VERSION}
        except MalformedDatagramError as error:
            rejected.append(error.reason)
    if not events:
        raise MalformedDatagramError(rejected[0] if rejected else "empty")
    return Decoded(events, tuple(rejected), other_versions)


def _values(payload: bytes) -> Iterator[object]:
    """Yield each JSON value of the payload, arrays opened; a `MalformedDatagramError` in place of what is not JSON."""
    text = payload.decode("utf-8", "replace").lstrip("\ufeff")
    decoder = json.JSONDecoder(parse_int=_parse_int)
    at = 0
    count = 0
    while (at := _skip_blanks(text, at)) < len(text) and count < _MAX_EVENTS:
        try:
            value, at = decoder.raw_decode(text, at)
        except ValueError:
            count += 1  # each try may read far: the bound is on tries, not only on finds
            yield MalformedDatagramError("not_json")
            at = (text.find("\n", at) + 1) or len(text)
            continue
        except RecursionError:
            yield MalformedDatagramError("too_deep")
            return
        for one in value[:_MAX_EVENTS] if isinstance(value, list) else (value,):
            count += 1
            yield one


def _skip_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n\x00\ufeff":
        at += 1
    return at


def _parse_int(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MAX_DIGITS else None


def _wire(value: object) -> tuple[_Wire, list[str]]:
    if isinstance(value, MalformedDatagramError):
        raise value
    if not isinstance(value, dict):
        raise MalformedDatagramError("not_an_object")
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
    return _Wire(**fields), list(value)[:7]


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


def _redactor(wires: list[_Wire]) -> ValueRedactor:
    """Return what takes the secrets of a whole datagram out of its texts; cleaned as those are, or none would match."""
    secrets = [secret for wire in wires for secret in (wire.AccessKey, wire.SessionToken) if secret]
    return ValueRedactor(*(_clean(secret) for secret in secrets))


def _event(wire: _Wire, keys: list[str], size_bytes: int, redactor: ValueRedactor) -> Event:
    if wire.Type not in {"ApiCall", "ApiCallAttempt"}:
        raise MalformedDatagramError("unknown_type")
    service, api = _text(wire.Service, redactor), _text(wire.Api, redactor)
    if service is None and api is None:
        raise MalformedDatagramError("unnamed")
    is_call = wire.Type == "ApiCall"
    user_agent = _free_text(wire.UserAgent, redactor)
    common: dict[str, Any] = {
        "dialect": (dialect_of_user_agent(user_agent or "") or dialect_of_keys(keys) or Dialect.UNKNOWN),
        "service": service or "",
        "api": api or "",
        "client_id": _free_text(wire.ClientId, redactor) or "",
        "timestamp_ms": _timestamp(wire.Timestamp),
        "latency_ms": _latency(wire.Latency if is_call else wire.AttemptLatency),
        "region": _text(wire.Region, redactor),
        "user_agent": user_agent,
        "status": _status(wire.FinalHttpStatusCode if is_call else wire.HttpStatusCode),
        "account_id": account_of(wire.AccessKey) if wire.AccessKey else None,
        "size_bytes": size_bytes,
    }
    if is_call:
        return ApiCall(
            **common,
            aws_exception=_failure(wire.FinalAwsException, wire.FinalAwsExceptionMessage, redactor),
            sdk_exception=_failure(wire.FinalSdkException, wire.FinalSdkExceptionMessage, redactor),
            attempt_count=_count(wire.AttemptCount),
            max_retries_exceeded=_flag(wire.MaxRetriesExceeded),
            timed_out=_flag(wire.ApiCallTimeout),
            request_id=_text(wire.XAmznRequestId, redactor),
        )
    return ApiCallAttempt(
        **common,
        aws_exception=_failure(wire.AwsException, wire.AwsExceptionMessage, redactor),
        sdk_exception=_failure(wire.SdkException, wire.SdkExceptionMessage, redactor),
        fqdn=_text(wire.Fqdn, redactor),
        request_id=_text(wire.XAmznRequestId, redactor) or _text(wire.XAmzRequestId, redactor),
        extended_request_id=_text(wire.XAmzId2, redactor),
        destination_ip=_text(wire.DestinationIp, redactor),
        connection_reused=_flag(wire.ConnectionReused),
        latencies=_latencies(wire),
        # Ruby writes its fixed keys with nulls when an attempt failed before it had a request
        not_sent=wire.Timestamp is None and wire.AttemptLatency is None and "Timestamp" in keys,
    )


def _text(value: str | None, redactor: ValueRedactor) -> str | None:
    return redactor.field(_printable(value)) or None if value else None


def _free_text(value: str | None, redactor: ValueRedactor) -> str | None:
    return redactor.message(_printable(value)) or None if value else None


def _printable(value: str) -> str:
    """Clean a text, and cut what no SDK sends."""
    return _clean(value[:_MAX_TEXT])


def _clean(value: str) -> str:
    """Take control characters (a line break becomes a blank) and lone surrogates out."""
    if value.isprintable():
        return value.strip()
    return _UNPRINTABLE.sub(lambda found: " " if found[0] in "\t\n\r" else "", value).strip()


def _failure(name: str | int | None, message: str | None, redactor: ValueRedactor) -> Failure | None:
    """Keep that an exception field was there even when it is empty (PHP) or has no name (C++)."""
    if name is None and message is None:
        return None
    text = "" if name is None else str(name)
    return Failure(_free_text(text, redactor) or "", _free_text(message, redactor) or "")


def _timestamp(value: float | None) -> int | None:
    return int(value) if value is not None and 0 < value <= _MAX_TIMESTAMP_MS else None


def _latency(value: int | None) -> int | None:
    return min(value, _MAX_LATENCY_MS) if value is not None and 0 <= value < _TOO_BIG else None


def _latencies(wire: _Wire) -> Latencies | None:
    latencies = Latencies(
        acquire_connection_ms=_latency(wire.AcquireConnectionLatency),
        connect_ms=_latency(wire.ConnectLatency),
        request_ms=_latency(wire.RequestLatency),
        dns_ms=_latency(wire.DnsLatency),
        tcp_ms=_latency(wire.TcpLatency),
        tls_ms=_latency(wire.SslLatency),
    )
    return None if latencies == _NO_LATENCIES else latencies


_NO_LATENCIES = Latencies()


def _status(value: int | None) -> int | None:
    return value if value is not None and _LOWEST_STATUS <= value <= _HIGHEST_STATUS else None


def _count(value: int | None) -> int | None:
    return value if value is not None and 0 <= value < _TOO_BIG else None


def _flag(value: int | None) -> bool | None:
    return bool(value) if value in {0, 1} else None
