"""Hypothesis strategies: well-formed, malformed and damaged datagrams, and datagrams with secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from datagrams import AGENTS, BASE_MS, attempt, attempt_fields, call, call_fields, encode
from hypothesis import strategies as st

from csm_otel.csm.events import Dialect

if TYPE_CHECKING:
    from collections.abc import Mapping

dialects = st.sampled_from(sorted(Dialect))
services = st.sampled_from(["S3", "DynamoDB", "STS", "Secrets Manager", "Application Auto Scaling"])
apis = st.sampled_from(["GetObject", "ListTables", "AssumeRole", "PutItem"])
client_ids = st.sampled_from(
    ["", "etl", "Büro", "x" * 255, "etl;00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"]
)
statuses = st.sampled_from([-1, 0, 200, 204, 301, 304, 307, 400, 403, 404, 429, 500, 503])
milliseconds = st.integers(0, 120_000)
error_names = st.sampled_from(["", "ExpiredToken", "AccessDenied", "404", "ConnectTimeoutError", "a.b.SdkException"])
error_messages = st.sampled_from(
    ["", "slow", "The security token included in the request is expired", "é 漢字 😀", "a\n\tb"]
)
flags = st.sampled_from([0, 1])
hosts = st.sampled_from(
    ["s3.amazonaws.com", "127.0.0.1:18080", "b.s3.eu-west-1.amazonaws.com", "[::1]:80", "LOCALHOST"]
)
request_ids = st.sampled_from(["", "79104EXAMPLEB723", "6bbefeea-f58f-47cf-83b8-bab78d52af5c"])


def _maybe(fields: Mapping[str, st.SearchStrategy[object]]) -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries({}, optional=dict(fields))


call_changes: st.SearchStrategy[dict[str, object]] = _maybe(
    {
        "ClientId": client_ids,
        "Service": services,
        "Api": apis,
        "Timestamp": st.integers(BASE_MS - 10**6, BASE_MS + 10**6),
        "Latency": milliseconds,
        "AttemptCount": st.integers(0, 6),
        "MaxRetriesExceeded": flags,
        "ApiCallTimeout": flags,
        "Region": st.sampled_from(["us-east-1", "eu-west-1"]),
        "UserAgent": st.sampled_from(sorted(AGENTS.values())),
        "FinalHttpStatusCode": statuses,
        "FinalAwsException": error_names,
        "FinalAwsExceptionMessage": error_messages,
        "FinalSdkException": error_names,
        "FinalSdkExceptionMessage": error_messages,
        "XAmznRequestId": request_ids,
    }
)
attempt_changes: st.SearchStrategy[dict[str, object]] = _maybe(
    {
        "ClientId": client_ids,
        "Service": services,
        "Api": apis,
        "Timestamp": st.integers(BASE_MS - 10**6, BASE_MS + 10**6) | st.none(),
        "AttemptLatency": milliseconds,
        "Fqdn": hosts,
        "Region": st.sampled_from(["us-east-1", "eu-west-1"]),
        "UserAgent": st.sampled_from(sorted(AGENTS.values())),
        "AccessKey": st.sampled_from(["", "AKIDEXAMPLE", "ASIAY34FZKBOKMUTVV7A"]),
        "HttpStatusCode": statuses,
        "AwsException": error_names,
        "AwsExceptionMessage": error_messages,
        "SdkException": error_names,
        "SdkExceptionMessage": error_messages,
        "XAmznRequestId": request_ids,
        "XAmzRequestId": request_ids,
        "XAmzId2": request_ids,
        "DestinationIp": st.sampled_from(["", "127.0.0.1", "::1", "not an ip"]),
        "ConnectionReused": flags,
        "ConnectLatency": milliseconds,
        "DnsLatency": milliseconds,
    }
)


@st.composite
def well_formed(draw: st.DrawFn) -> bytes:
    """Return one event as an SDK would send it: known keys, plain types."""
    dialect = draw(dialects)
    if draw(st.booleans()):
        return call(dialect, **draw(call_changes))
    return attempt(dialect, **draw(attempt_changes))


numbers = (
    st.integers(-5, 700)
    | st.integers(-(10**25), 10**25)
    | st.floats()
    | st.floats(-1, 10**13).map(lambda value: float(int(value)))
)
scalars = (
    st.none()
    | st.booleans()
    | numbers
    | st.text(max_size=20)
    | numbers.map(str)
    | st.sampled_from(["ApiCall", "\ud800x", ""])
)
json_values = st.recursive(
    scalars,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=4), children, max_size=3),
)
_WIRE_KEYS = sorted(
    {key for dialect in Dialect for fields in (call_fields, attempt_fields) for key in fields(dialect)}
    | {
        "AWSException",
        "finalawsexception",
        "APICallTimeout",
        "SessionToken",
        "Unknown",
        "ConnectionReused",
        "DnsLatency",
    }
)


@st.composite
def misshapen(draw: st.DrawFn) -> bytes:
    """Return one or several JSON objects with known keys and any values."""
    objects = draw(
        st.lists(
            st.dictionaries(st.sampled_from(_WIRE_KEYS), json_values, max_size=12).flatmap(
                lambda fields: st.sampled_from(
                    [fields, {"Type": "ApiCall", "Api": "A", **fields}, fields | {"Type": "ApiCallAttempt", "Api": "A"}]
                )
            ),
            min_size=1,
            max_size=3,
        )
    )
    if draw(st.booleans()):
        return json.dumps(objects).encode()
    return draw(st.sampled_from(["\n", "", "\r\n ", "garbage\n"])).join(map(json.dumps, objects)).encode()


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Return a well-formed datagram with some of its bytes overwritten, removed, duplicated or inserted."""
    payload = bytearray(draw(well_formed()))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(payload)))
        length = draw(st.integers(0, 40))
        put = draw(
            st.binary(max_size=8) | st.sampled_from([b"{", b"[", b'"', b"\\", b"\n", b"\xef\xbb\xbf", b"1e999", b"NaN"])
        )
        kind = draw(st.sampled_from(["overwrite", "insert", "cut", "double"]))
        if kind == "overwrite":
            payload[at : at + len(put)] = put
        elif kind == "insert":
            payload[at:at] = put
        elif kind == "cut":
            del payload[at : at + length]
        else:
            payload[at:at] = payload[at : at + length]
    return bytes(payload)


any_payload = st.binary(max_size=200) | mutated() | misshapen() | well_formed()

_SECRET_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
access_keys = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=16, max_size=16).map("AKIA".__add__) | st.text(
    _SECRET_LETTERS, min_size=16, max_size=40
)
tokens = st.text(_SECRET_LETTERS, min_size=60, max_size=300)
_TEXT_KEYS = ("ClientId", "UserAgent", "Region", "Service", "Api")
_ATTEMPT_TEXT_KEYS = (
    "AwsException", "AwsExceptionMessage", "SdkException", "SdkExceptionMessage", "Fqdn", "XAmznRequestId",
    "XAmzRequestId", "XAmzId2", "DestinationIp",
)  # fmt: skip
_CALL_TEXT_KEYS = (
    "FinalAwsException", "FinalAwsExceptionMessage", "FinalSdkException", "FinalSdkExceptionMessage", "XAmznRequestId",
)  # fmt: skip


@st.composite
def leaking(draw: st.DrawFn) -> tuple[bytes, list[str]]:
    """Return a datagram that quotes its own secrets or pieces of them (16 or more characters), and the secrets."""
    secrets = [draw(access_keys), draw(tokens)]
    own: dict[str, object] = {"AccessKey": secrets[0], "SessionToken": secrets[1]}
    quotes = st.builds(
        # cut at 512 characters, as the senders do
        lambda secret, start, before, after: (before + secret[start % (len(secret) - 15) :] + after)[:512],
        st.sampled_from(secrets),
        st.integers(0, 300),
        st.sampled_from(["", "Access denied: ", "AWSAccessKeyId=", "x-amz-security-token:", "\u0000", "é "]),
        st.sampled_from(["", " is not valid", "&X-Amz-Date=1", "\u0000\n", "…"]),
    )
    changes: dict[str, object] = {}
    is_call = draw(st.booleans())
    keys = _TEXT_KEYS + (_CALL_TEXT_KEYS if is_call else _ATTEMPT_TEXT_KEYS)
    for key in draw(st.lists(st.sampled_from(keys), min_size=1, max_size=4, unique=True)):
        changes[key] = draw(quotes)
    dialect = draw(dialects)
    fields = (call_fields if is_call else attempt_fields)(dialect, **(own | changes))
    if draw(st.booleans()):
        return encode(dialect, fields), secrets
    # the secrets in one event of an array, the quotes in another
    bare = {key: value for key, value in fields.items() if key not in own}
    return json.dumps([bare, attempt_fields(dialect, **own)]).encode(), secrets


def holds_piece(text: str, secrets: list[str], *, length: int = 16) -> bool:
    """Whether any ``length`` characters in a row of a secret are in ``text``."""
    return any(secret[at : at + length] in text for secret in secrets for at in range(max(1, len(secret) - length + 1)))
