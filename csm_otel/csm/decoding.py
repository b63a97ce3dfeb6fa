"""One UDP payload to the events in it: `decode`.

Reading has a fast path and a tolerant one (`csm_otel.csm.wire`). Both end in `_event`, so they agree on everything
that the fast one accepts.

The access key and the session token end here: the key becomes the account it belongs to, and both are taken out of
every other text (`redaction`).
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, NamedTuple

from csm_otel.csm.dialects import dialect_of_keys, dialect_of_user_agent
from csm_otel.csm.events import (
    COUNT_LIMIT,
    HIGHEST_STATUS,
    LOWEST_STATUS,
    MAX_LATENCY_MS,
    MAX_TIMESTAMP_MS,
    ApiCall,
    ApiCallAttempt,
    Dialect,
    Event,
    Failure,
    Latencies,
)
from csm_otel.csm.redaction import ValueRedactor
from csm_otel.csm.wire import Wire, WireObject, read_anything, read_plain
from csm_otel.errors import MalformedDatagramError

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


_WIRE_VERSION = 1
# The longest texts any SDK sends are 512 characters; more is a stranger's.
_MAX_TEXT = 2048

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Decoded(NamedTuple):
    """What one payload held."""

    events: list[Event]
    rejected: tuple[str, ...] = ()
    """A reason for each object beside the events that is none, in order; ``too_many`` is one for all that was cut."""
    other_versions: int = 0
    """How many events carried a Version other than 1; they are decoded all the same."""


def decode(payload: bytes) -> Decoded:
    """Return the events in a UDP payload, in order.

    Raises:
        MalformedDatagramError: nothing in it is a CSM event; ``reason`` is ``empty``, ``not_json``, ``not_an_object``,
            ``too_deep``, ``unknown_type`` or ``unnamed`` (neither Service nor Api), whichever is first.

    Beside events the same reasons are in ``rejected``, and one more that is never alone: ``too_many``, once, where a
    datagram goes on after 1,024 objects (or after too much that is not JSON) and the rest is not read.
    """
    plain = read_plain(payload)
    if plain is None:
        return _decode_tolerantly(payload)
    event = _event(plain, len(payload), _redactor([plain]))
    return Decoded([event], (), int(_is_other_version(plain.wire)))


def _decode_tolerantly(payload: bytes) -> Decoded:
    read = list(read_anything(payload))
    redactor = _redactor([one for one in read if isinstance(one, WireObject)])
    events: list[Event] = []
    rejected: list[str] = []
    other_versions = 0
    for one in read:
        if isinstance(one, MalformedDatagramError):
            rejected.append(one.reason)
            continue
        try:
            events.append(_event(one, len(payload), redactor))
            other_versions += _is_other_version(one.wire)
        except MalformedDatagramError as error:
            rejected.append(error.reason)
    if not events:
        raise MalformedDatagramError(rejected[0] if rejected else "empty")
    return Decoded(events, tuple(rejected), other_versions)


def _is_other_version(wire: Wire) -> bool:
    return wire.Version not in {None, _WIRE_VERSION}


def _redactor(objects: list[WireObject]) -> ValueRedactor:
    """Return what takes the secrets of a whole datagram out of its texts; cleaned as those are, or none would match."""
    secrets = [secret for wire, _ in objects for secret in (wire.AccessKey, wire.SessionToken) if secret]
    return ValueRedactor(*(_clean(secret) for secret in secrets))


def _event(read: WireObject, size_bytes: int, redactor: ValueRedactor) -> Event:
    wire, keys = read
    if wire.Type not in {"ApiCall", "ApiCallAttempt"}:
        raise MalformedDatagramError("unknown_type")
    service, api = _text(wire.Service, redactor), _text(wire.Api, redactor)
    if service is None and api is None:
        raise MalformedDatagramError("unnamed")
    is_call = wire.Type == "ApiCall"
    user_agent = _free_text(wire.UserAgent, redactor)
    common: dict[str, Any] = {
        "dialect": (dialect_of_user_agent(user_agent or "") or dialect_of_keys(keys()) or Dialect.UNKNOWN),
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
        not_sent=wire.Timestamp is None and wire.AttemptLatency is None and "Timestamp" in keys(),
    )


def _text(value: str | None, redactor: ValueRedactor) -> str | None:
    return redactor.name(_printable(value)) or None if value else None


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
    return int(value) if value is not None and 0 < value <= MAX_TIMESTAMP_MS else None


def _latency(value: int | None) -> int | None:
    return min(value, MAX_LATENCY_MS) if value is not None and 0 <= value < COUNT_LIMIT else None


def _latencies(wire: Wire) -> Latencies | None:
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
    return value if value is not None and LOWEST_STATUS <= value <= HIGHEST_STATUS else None


def _count(value: int | None) -> int | None:
    return value if value is not None and 0 <= value < COUNT_LIMIT else None


def _flag(value: int | None) -> bool | None:
    return bool(value) if value in {0, 1} else None
