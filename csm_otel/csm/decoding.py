"""UDP payload in, events out: `decode`.

Parsing has a strict, fast path and a lenient one (`csm_otel.csm.wire`). Both end in `_event`, so they agree on every
payload that the strict one accepts.

No secret passes this module: the access key is reduced to its account, the session token is dropped, and both are
redacted from every other text (`csm_otel.csm.redaction`).
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from csm_otel.csm.dialects import dialect_of_keys, dialect_of_user_agent
from csm_otel.csm.events import (
    ApiCall,
    ApiCallAttempt,
    Dialect,
    Event,
    Failure,
    Latencies,
)
from csm_otel.csm.redaction import HEX_AND_DASHES, ValueRedactor, clean
from csm_otel.csm.wire import Wire, WireObject, first_keys, parse_lenient, parse_strict
from csm_otel.errors import MalformedDatagramError

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

_WIRE_VERSION = 1
_CALL = "ApiCall"
_TYPES = frozenset({_CALL, "ApiCallAttempt"})
_MAX_TEXT_CHARS = 2048  # SDKs cut at 512; whatever sends more is not one of them
_NO_LATENCIES = (None,) * 6
_NO_FAILURE = (None, None)

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
    is_forwarded: bool = False
    """Whether another csm-otel has forwarded one of them, see `csm_otel.csm.encoding`."""


def decode(payload: bytes) -> Decoded:
    """Return the events in a UDP payload, in order.

    Raises:
        MalformedDatagramError: it holds no CSM event. ``reason`` is that of its first object: ``empty``, ``not_json``,
            ``not_an_object``, ``too_deep``, ``unknown_type`` or ``unnamed`` (neither Service nor Api).

    A payload with events may have the same reasons in ``rejected``, and last ``too_many``: the payload has more than
    1,024 objects, or too much that is not JSON, and the rest was not read.
    """
    wire = parse_strict(payload)
    if wire is None:
        return _decode_lenient(payload)
    redactor = ValueRedactor(wire.AccessKey, wire.SessionToken)
    event = _event(wire, payload, len(payload), redactor, _remembered_identity(wire, redactor))
    other_versions = 0 if wire.Version == _WIRE_VERSION else int(_is_other_version(wire))
    return Decoded([event], (), other_versions, wire.ForwardedBy is not None)


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


class _Identity(NamedTuple):
    """The texts that most events of a sender have in common, redacted, and what follows from them."""

    dialect: Dialect | None
    """None if the user agent names no SDK: then it depends on the order of the keys."""
    service: str
    api: str
    client_id: str
    region: str | None
    user_agent: str | None
    fqdn: str | None
    account_id: str | None
    spares_hex: bool
    """Whether redaction leaves every text of hexadecimal digits and dashes unchanged, as most request ids are."""


def _identity(wire: Wire, redactor: ValueRedactor) -> _Identity:
    user_agent = _free_text(wire.UserAgent, redactor)
    return _Identity(
        dialect=dialect_of_user_agent(user_agent or ""),
        service=_text(wire.Service, redactor) or "",
        api=_text(wire.Api, redactor) or "",
        client_id=_free_text(wire.ClientId, redactor) or "",
        region=_text(wire.Region, redactor),
        user_agent=user_agent,
        fqdn=_text(wire.Fqdn, redactor),
        account_id=account_of(wire.AccessKey) if wire.AccessKey else None,
        spares_hex=redactor.spares_hex,
    )


# What `_identity` and `_failure` return, by texts and secrets. They keep no secret: an entry is made only if redaction
# left all texts of its key as they were, so that it has no text that an event may not have; and of the secrets it has
# only a hash.
_identities: dict[tuple[object, ...], _Identity] = {}
_failures: dict[tuple[object, ...], Failure] = {}
_MAX_REMEMBERED = 1024  # of each
_MAX_REMEMBERED_CHARS = 1024  # in one key


def _remembered_identity(wire: Wire, redactor: ValueRedactor) -> _Identity:
    """Return the `_identity` of an event, which is the same for most events of a sender."""
    texts = wire.Service, wire.Api, wire.ClientId, wire.Region, wire.UserAgent, wire.Fqdn
    key = texts, redactor.fingerprint
    identity = _identities.get(key)
    if identity is None:
        identity = _identity(wire, redactor)
        _remember(_identities, key, identity, texts, identity[1:7])
    return identity


def _remember(
    known: dict[tuple[object, ...], T],
    key: tuple[object, ...],
    value: T,
    texts: Sequence[str | None],
    redacted: Sequence[str | None],
) -> None:
    """Remember a value if its texts may be kept, and forget all others if there are too many."""
    are_unchanged = [(text or "").strip() for text in texts] == [text or "" for text in redacted]
    if are_unchanged and sum(len(text or "") for text in texts) <= _MAX_REMEMBERED_CHARS:
        if len(known) >= _MAX_REMEMBERED:
            known.clear()
        known[key] = value


def _decode_lenient(payload: bytes) -> Decoded:
    parsed = list(parse_lenient(payload))
    wires = [item.wire for item in parsed if isinstance(item, WireObject)]
    redactor = ValueRedactor(*(secret for wire in wires for secret in (wire.AccessKey, wire.SessionToken)))
    events: list[Event] = []
    rejected: list[str] = []
    other_versions = 0
    for item in parsed:
        if isinstance(item, MalformedDatagramError):
            rejected.append(item.reason)
            continue
        wire, keys = item
        try:
            events.append(_event(wire, keys, len(payload), redactor, _identity(wire, redactor)))
            other_versions += _is_other_version(wire)
        except MalformedDatagramError as error:
            rejected.append(error.reason)
    if not events:
        raise MalformedDatagramError(rejected[0] if rejected else "empty")
    return Decoded(events, tuple(rejected), other_versions, any(wire.ForwardedBy is not None for wire in wires))


def _is_other_version(wire: Wire) -> bool:
    return wire.Version is not None and wire.Version != _WIRE_VERSION


def _event(
    wire: Wire, keys: bytes | Sequence[str], size_bytes: int, redactor: ValueRedactor, identity: _Identity
) -> Event:
    """Return the event of an object; ``keys`` are its first ones, or a payload that they are the first of.

    Raises:
        MalformedDatagramError: it is none.
    """
    if wire.Type not in _TYPES:
        raise MalformedDatagramError("unknown_type")
    dialect, service, api, client_id, region, user_agent, fqdn, account_id, spares_hex = identity
    if not service and not api:
        raise MalformedDatagramError("unnamed")
    if dialect is None:
        dialect = dialect_of_keys(_keys(keys)) or Dialect.UNKNOWN
    request_id = _request_id(wire.XAmznRequestId, redactor, spares_hex=spares_hex)
    if wire.Type == _CALL:
        latency_ms, status = wire.Latency, wire.FinalHttpStatusCode
        aws = wire.FinalAwsException, wire.FinalAwsExceptionMessage
        sdk = wire.FinalSdkException, wire.FinalSdkExceptionMessage
    else:
        latency_ms, status = wire.AttemptLatency, wire.HttpStatusCode
        aws = wire.AwsException, wire.AwsExceptionMessage
        sdk = wire.SdkException, wire.SdkExceptionMessage
    # The fields of both kinds, in order. Of more than 15 arguments by name, CPython 3.11 makes an event four times as
    # slowly.
    common = (
        dialect,
        service,
        api,
        client_id,
        None if wire.Timestamp is None else int(wire.Timestamp),
        latency_ms,
        region,
        user_agent,
        status,
        None if aws == _NO_FAILURE else _failure(*aws, redactor),
        None if sdk == _NO_FAILURE else _failure(*sdk, redactor),
        account_id,
        size_bytes,
    )
    if wire.Type == _CALL:
        return ApiCall(
            *common,
            wire.AttemptCount,
            None if wire.MaxRetriesExceeded is None else bool(wire.MaxRetriesExceeded),
            None if wire.ApiCallTimeout is None else bool(wire.ApiCallTimeout),
            request_id,
        )
    return ApiCallAttempt(
        *common,
        fqdn,
        request_id or _request_id(wire.XAmzRequestId, redactor, spares_hex=spares_hex),
        _text(wire.XAmzId2, redactor) if wire.XAmzId2 else None,
        _text(wire.DestinationIp, redactor) if wire.DestinationIp else None,
        None if wire.ConnectionReused is None else bool(wire.ConnectionReused),
        _latencies(wire),
        # not sent: Ruby always writes these keys, with nulls when an attempt failed before there was a request
        wire.Timestamp is None and latency_ms is None and "Timestamp" in _keys(keys),
    )


def _keys(keys: bytes | Sequence[str]) -> Sequence[str]:
    # on demand: most senders are recognised by their user agent
    return first_keys(keys) if isinstance(keys, bytes) else keys


def _request_id(value: str | None, redactor: ValueRedactor, *, spares_hex: bool) -> str | None:
    if not value or (spares_hex and len(value) <= _MAX_TEXT_CHARS and not value.strip(HEX_AND_DASHES)):
        return value or None
    return _text(value, redactor)


def _text(value: str | None, redactor: ValueRedactor) -> str | None:
    return redactor.redact_name(_printable(value)) or None if value else None


def _free_text(value: str | None, redactor: ValueRedactor) -> str | None:
    return redactor.redact_message(_printable(value)) or None if value else None


def _printable(value: str) -> str:
    return clean(value[:_MAX_TEXT_CHARS])


def _failure(name: str | int | None, message: str | None, redactor: ValueRedactor) -> Failure | None:
    """Return a failure even where both fields are empty (PHP) or there is no name (C++): that they are sent counts."""
    if name is None and message is None:
        return None
    texts = "" if name is None else str(name), message or ""
    key = (*texts, redactor.fingerprint)
    failure = _failures.get(key)
    if failure is None:
        failure = Failure(*(_free_text(text, redactor) or "" for text in texts))
        _remember(_failures, key, failure, texts, (failure.name, failure.message))
    return failure


def _latencies(wire: Wire) -> Latencies | None:
    measured = (
        wire.AcquireConnectionLatency,
        wire.ConnectLatency,
        wire.RequestLatency,
        wire.DnsLatency,
        wire.TcpLatency,
        wire.SslLatency,
    )
    return None if measured == _NO_LATENCIES else Latencies(*measured)
