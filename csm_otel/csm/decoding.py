"""UDP payload in, events out: `decode`.

Parsing has a strict, fast path and a lenient one (`csm_otel.csm.wire`). Both end in `_event`, so they agree on every
payload that the strict one accepts.

No secret passes this module: the access key is reduced to its account, the session token is dropped, and both are
redacted from every other text (`csm_otel.csm.redaction`).
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
from csm_otel.csm.wire import Wire, WireObject, parse_lenient, parse_strict
from csm_otel.errors import MalformedDatagramError

_WIRE_VERSION = 1
_MAX_TEXT_CHARS = 2048  # SDKs cut at 512; whatever sends more is not one of them
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NO_LATENCIES = Latencies()

# An access key id is a prefix and base32; the first six bytes of that hold the account.
_KEY_ID_PREFIXES = ("AKIA", "ASIA")
_KEY_ID_PREFIX_CHARS = 4
_KEY_ID_CHARS = 20
_ACCOUNT_BYTES = 6
_ACCOUNT_MASK = 0x7FFF_FFFF_FF80
_ACCOUNT_SHIFT = 7
_HAS_ACCOUNT = 0x8000_0000_0000  # the top bit; unset in keys created before 2019, which hold no account


class Decoded(NamedTuple):
    """The content of one payload."""

    events: list[Event]
    rejected: tuple[str, ...] = ()
    """The reason for each object that is not an event, in order; ``too_many`` stands once for all unread ones."""
    other_versions: int = 0
    """How many events carried a Version other than 1. They are decoded like the rest."""


def decode(payload: bytes) -> Decoded:
    """Return the events in a UDP payload, in order.

    Raises:
        MalformedDatagramError: it holds no CSM event. ``reason`` is that of its first object: ``empty``, ``not_json``,
            ``not_an_object``, ``too_deep``, ``unknown_type`` or ``unnamed`` (neither Service nor Api).

    A payload with events may have the same reasons in ``rejected``, and last ``too_many``: the payload has more than
    1,024 objects, or too much that is not JSON, and the rest was not read.
    """
    parsed = parse_strict(payload)
    if parsed is None:
        return _decode_lenient(payload)
    event = _event(parsed, len(payload), _redactor([parsed]))
    return Decoded([event], (), int(_is_other_version(parsed.wire)))


def account_of(access_key_id: str) -> str | None:
    """Return the 12-digit account encoded in an access key id, or None if it has none.

    It is the account of the credentials, not of the resource they were used on.
    """
    if len(access_key_id) != _KEY_ID_CHARS or not access_key_id.startswith(_KEY_ID_PREFIXES):
        return None
    try:
        decoded = base64.b32decode(access_key_id[_KEY_ID_PREFIX_CHARS:])
    except (binascii.Error, ValueError):
        return None
    value = int.from_bytes(decoded[:_ACCOUNT_BYTES], "big")
    account = (value & _ACCOUNT_MASK) >> _ACCOUNT_SHIFT
    return f"{account:012d}" if value & _HAS_ACCOUNT and account else None


def _decode_lenient(payload: bytes) -> Decoded:
    parsed = list(parse_lenient(payload))
    redactor = _redactor([item for item in parsed if isinstance(item, WireObject)])
    events: list[Event] = []
    rejected: list[str] = []
    other_versions = 0
    for item in parsed:
        if isinstance(item, MalformedDatagramError):
            rejected.append(item.reason)
            continue
        try:
            events.append(_event(item, len(payload), redactor))
            other_versions += _is_other_version(item.wire)
        except MalformedDatagramError as error:
            rejected.append(error.reason)
    if not events:
        raise MalformedDatagramError(rejected[0] if rejected else "empty")
    return Decoded(events, tuple(rejected), other_versions)


def _is_other_version(wire: Wire) -> bool:
    return wire.Version not in {None, _WIRE_VERSION}


def _redactor(objects: list[WireObject]) -> ValueRedactor:
    """Return a redactor for the secrets of a whole datagram, cleaned like the texts that it searches."""
    secrets = [secret for wire, _ in objects for secret in (wire.AccessKey, wire.SessionToken) if secret]
    return ValueRedactor(*(_clean(secret) for secret in secrets))


def _event(parsed: WireObject, size_bytes: int, redactor: ValueRedactor) -> Event:
    wire, keys = parsed
    if wire.Type not in {"ApiCall", "ApiCallAttempt"}:
        raise MalformedDatagramError("unknown_type")
    service, api = _text(wire.Service, redactor), _text(wire.Api, redactor)
    if service is None and api is None:
        raise MalformedDatagramError("unnamed")
    is_call = wire.Type == "ApiCall"
    user_agent = _free_text(wire.UserAgent, redactor)
    common: dict[str, Any] = {
        "dialect": dialect_of_user_agent(user_agent or "") or dialect_of_keys(keys()) or Dialect.UNKNOWN,
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
        # Ruby always writes these keys, with nulls when an attempt failed before there was a request
        not_sent=wire.Timestamp is None and wire.AttemptLatency is None and "Timestamp" in keys(),
    )


def _text(value: str | None, redactor: ValueRedactor) -> str | None:
    return redactor.redact_name(_printable(value)) or None if value else None


def _free_text(value: str | None, redactor: ValueRedactor) -> str | None:
    return redactor.redact_message(_printable(value)) or None if value else None


def _printable(value: str) -> str:
    return _clean(value[:_MAX_TEXT_CHARS])


def _clean(value: str) -> str:
    """Remove control characters and lone surrogates; tabs and line breaks become spaces."""
    if value.isprintable():
        return value.strip()
    return _UNPRINTABLE.sub(lambda found: " " if found[0] in "\t\n\r" else "", value).strip()


def _failure(name: str | int | None, message: str | None, redactor: ValueRedactor) -> Failure | None:
    """Return a failure even where both fields are empty (PHP) or there is no name (C++): that they are sent counts."""
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


def _status(value: int | None) -> int | None:
    return value if value is not None and LOWEST_STATUS <= value <= HIGHEST_STATUS else None


def _count(value: int | None) -> int | None:
    return value if value is not None and 0 <= value < COUNT_LIMIT else None


def _flag(value: int | None) -> bool | None:
    return bool(value) if value in {0, 1} else None
