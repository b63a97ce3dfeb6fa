"""Events encoded as datagrams: the same events when decoded again, and no secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest
import strategies
from conformance.recordings import EVERYTHING, recording
from datagrams import ABSENT, BASE_MS, TOKEN, attempt, call
from hypothesis import given

from csm_otel.csm.decoding import decode
from csm_otel.csm.encoding import encode_event
from csm_otel.csm.events import ApiCall, ApiCallAttempt, Dialect, Event
from csm_otel.errors import MalformedDatagramError

if TYPE_CHECKING:
    from collections.abc import Callable


def known_again(event: Event) -> Event:
    """Return the event without what is not encoded."""
    return msgspec.structs.replace(event, account_id=None, size_bytes=0)


def assert_encoded(payload: bytes) -> None:
    """Assert that each event of a datagram is known again from its encoding."""
    try:
        events = decode(payload).events
    except MalformedDatagramError:
        return
    for event in events:
        again = decode(encode_event(event))
        assert [known_again(one) for one in again.events] == [known_again(event)]
        assert again.is_forwarded
        assert not (again.rejected)
        assert not (again.other_versions)


@given(strategies.well_formed() | strategies.misshapen())
def test_any_event(payload: bytes) -> None:
    """Every event is the same when it is decoded again."""
    assert_encoded(payload)


@pytest.mark.parametrize("name", EVERYTHING)
def test_captured_events(name: str) -> None:
    """So is everything that real SDKs have sent."""
    for recorded in recording(name):
        assert_encoded(recorded.payload)


@pytest.mark.parametrize("timestamp_ms", [None, BASE_MS])
@pytest.mark.parametrize("user_agent", [None, "custom/1.0"])
@pytest.mark.parametrize("dialect", sorted(Dialect))
def test_the_sdk_is_known_again(dialect: Dialect, user_agent: str | None, timestamp_ms: int | None) -> None:
    """An SDK that no user agent names is known again by the order of the keys, however few of them have values."""
    for kind in (ApiCall, ApiCallAttempt):
        event = kind(dialect, "S3", "GetObject", user_agent=user_agent, timestamp_ms=timestamp_ms, region=None)
        (again,) = decode(encode_event(event)).events
        assert again.dialect is dialect


@pytest.mark.parametrize("dialect", sorted(Dialect))
def test_the_keys_are_those_of_the_wire(dialect: Dialect) -> None:
    """The object has the sender's keys and values, but for its credentials, and one more key."""
    for make in (call, attempt):
        sent = make(dialect, **({"SessionToken": TOKEN} if make is attempt else {}))
        (event,) = decode(sent).events
        expected = {"Version": 1, "ClientId": "", **json.loads(sent), "ForwardedBy": "csm-otel"}
        for secret in ("AccessKey", "SessionToken"):
            expected.pop(secret, None)
        if dialect is Dialect.PHP and make is call:
            expected["UserAgent"] = expected["UserAgent"].strip()

        assert json.loads(encode_event(event)) == expected


def test_a_line() -> None:
    """A listener that splits datagrams into lines finds one object."""
    (event,) = decode(attempt(AwsException="E", AwsExceptionMessage="two\nlines")).events

    assert encode_event(event).splitlines() == [encode_event(event)]


def test_not_sent() -> None:
    """An attempt that was never sent has its null, as Ruby writes it, and no other nulls."""
    (event,) = decode(attempt(Dialect.RUBY, Timestamp=None, AttemptLatency=ABSENT, HttpStatusCode=ABSENT)).events
    encoded = json.loads(encode_event(event))

    assert [key for key, value in encoded.items() if value is None] == ["Timestamp"]


@pytest.mark.parametrize("make", [call, attempt])
def test_without_messages(make: Callable[..., bytes]) -> None:
    """On request there are no error messages, but the names of errors."""
    prefix = "Final" if make is call else ""
    texts = {f"{prefix}AwsException": "A", f"{prefix}AwsExceptionMessage": "secret plans"}
    (event,) = decode(make(**texts)).events

    assert f"{prefix}AwsExceptionMessage" in json.loads(encode_event(event))
    without = json.loads(encode_event(event, messages=False))
    assert without[f"{prefix}AwsException"] == "A"
    assert not [key for key in without if key.endswith("Message")]


@given(strategies.leaking())
def test_no_secret(planted: tuple[bytes, list[str]]) -> None:
    """No piece of a datagram's secrets is in what its events are encoded as; a secret may be spelt as a key is."""
    payload, secrets = planted
    for event in decode(payload).events:
        values = json.loads(encode_event(event)).values()
        assert not strategies.holds_piece("\n".join(map(str, values)), secrets)
