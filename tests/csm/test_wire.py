"""Payloads to typed objects: those of the strict parser, and the rest by the lenient one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from datagrams import attempt, call
from hypothesis import given
from strategies import any_payload

from csm_otel.csm.events import Dialect
from csm_otel.csm.wire import MAX_OBJECTS, Wire, WireObject, first_keys, parse_lenient, parse_strict
from csm_otel.errors import MalformedDatagramError

if TYPE_CHECKING:
    from collections.abc import Callable

ONE = b'{"Type":"ApiCall","Latency":12}'


def set_fields(wire: Wire) -> dict[str, object]:
    """Return the fields of an object that have a value."""
    return {name: value for name, value in msgspec.structs.asdict(wire).items() if value is not None}


def parsed(payload: bytes) -> list[dict[str, object] | str]:
    """Return the fields of each object of a payload, and the reason of everything else."""
    return [
        item.reason if isinstance(item, MalformedDatagramError) else set_fields(item.wire)
        for item in parse_lenient(payload)
    ]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        pytest.param(ONE, {"Type": "ApiCall", "Latency": 12}, id="one-object"),
        pytest.param(b"{}", {}, id="empty-object"),
        pytest.param(b'{"Type":null}', {}, id="null"),
        pytest.param(b' {"Timestamp": 1.5}\n', {"Timestamp": 1.5}, id="fraction-of-a-ms"),
        pytest.param(b'{"AwsException":404}', {"AwsException": 404}, id="numeric-exception-name"),
        pytest.param(b'{"Type":"ApiCall","Unknown":1}', None, id="unknown-key"),
        pytest.param(b'{"type":"ApiCall"}', None, id="another-spelling"),
        pytest.param(b'{"Latency":"12"}', None, id="number-as-a-string"),
        pytest.param(b'{"Latency":12.5}', None, id="fraction-where-none-belongs"),
        pytest.param(b"[" + ONE + b"]", None, id="array"),
        pytest.param(ONE + ONE, None, id="two-objects"),
        pytest.param(b'{"Type":"\xff"}', None, id="invalid-utf-8"),
        pytest.param(b'{"Type":"Api', None, id="cut"),
        pytest.param(b"[" * 100_000, None, id="too-deep"),
        pytest.param(b"", None, id="empty"),
    ],
)
def test_strict(payload: bytes, expected: dict[str, object] | None) -> None:
    """One object with known keys and the right types is accepted, anything else is None."""
    found = parse_strict(payload)

    assert (None if found is None else set_fields(found)) == expected


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        pytest.param(b"[" + ONE + b",1," + ONE + b"]", [json.loads(ONE), "not_an_object", json.loads(ONE)], id="array"),
        pytest.param(ONE + b"\n\x00" + ONE, [json.loads(ONE)] * 2, id="one-after-the-other"),
        pytest.param(b"\xef\xbb\xbf" + ONE, [json.loads(ONE)], id="byte-order-mark"),
        pytest.param(b"junk\n" + ONE, ["not_json", json.loads(ONE)], id="resumes-at-the-next-line"),
        pytest.param(ONE + b'{"Type":', [json.loads(ONE), "not_json"], id="cut"),
        pytest.param(b'"text"', ["not_an_object"], id="string"),
        pytest.param(b"[[" + ONE + b"]]", ["not_an_object"], id="only-one-level-of-arrays"),
        pytest.param(ONE + b"[" * 100_000 + ONE, [json.loads(ONE), "too_deep"], id="too-deep-ends-it"),
        pytest.param(b"1 " * (MAX_OBJECTS + 5), ["not_an_object"] * MAX_OBJECTS + ["too_many"], id="too-many"),
        pytest.param(b" \r\n", [], id="whitespace"),
    ],
)
def test_lenient(payload: bytes, expected: list[dict[str, object] | str]) -> None:
    """Every object is found in any surroundings, and everything else has its reason."""
    assert parsed(payload) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param('{"latency":12}', {"Latency": 12}, id="lower-case-key"),
        pytest.param('{"FinalAWSException":"A"}', {"FinalAwsException": "A"}, id="dotnet-key"),
        pytest.param('{"Unknown":1}', {}, id="unknown-key"),
        pytest.param('{"Latency":"12"}', {"Latency": 12}, id="numeric-string"),
        pytest.param('{"Latency":"12.9"}', {"Latency": 12}, id="fraction-in-a-string"),
        pytest.param('{"Latency":12.9}', {"Latency": 12}, id="fraction"),
        pytest.param('{"Latency":"soon"}', {}, id="text-for-a-number"),
        pytest.param('{"Latency":true}', {}, id="boolean-for-a-number"),
        pytest.param('{"Latency":NaN}', {}, id="nan"),
        pytest.param('{"Latency":1e18}', {}, id="too-large"),
        pytest.param('{"Latency":99999999999999999999}', {}, id="too-many-digits"),
        pytest.param('{"MaxRetriesExceeded":true}', {"MaxRetriesExceeded": 1}, id="boolean-for-a-flag"),
        pytest.param('{"Api":7}', {}, id="number-for-a-text"),
        pytest.param('{"SdkException":7.0}', {"SdkException": 7}, id="numeric-exception-name"),
        pytest.param('{"Api":{"a":1}}', {}, id="object-for-a-text"),
        pytest.param('{"Api":"A","api":null}', {"Api": "A"}, id="value-before-null"),
        pytest.param('{"api":null,"Api":"A"}', {"Api": "A"}, id="null-before-value"),
    ],
)
def test_lenient_fields(value: str, expected: dict[str, object]) -> None:
    """A field is converted where its meaning is clear, else dropped alone."""
    assert parsed(value.encode()) == [expected]


@pytest.mark.parametrize("dialect", sorted(Dialect))
@pytest.mark.parametrize("datagram", [call, attempt], ids=["call", "attempt"])
def test_first_keys(dialect: Dialect, datagram: Callable[[Dialect], bytes]) -> None:
    """Both parsers return the first seven keys in the order of the payload."""
    payload = datagram(dialect)
    expected = list(json.loads(payload))[:7]

    strict = parse_strict(payload)
    (lenient,) = parse_lenient(payload)

    assert isinstance(lenient, WireObject)
    assert lenient.keys == expected
    assert strict is None or first_keys(payload) == expected


@given(any_payload)
def test_lenient_accepts_what_strict_accepts(payload: bytes) -> None:
    """What the strict parser accepts, the lenient one reads as the same single object, but for fractions of a ms."""
    strict = parse_strict(payload)
    if strict is None:
        return
    (lenient,) = parse_lenient(payload)

    assert isinstance(lenient, WireObject)
    fractional = {"Timestamp"}
    for name, value in msgspec.structs.asdict(strict).items():
        if name not in fractional:
            assert getattr(lenient.wire, name) == value


def test_repr_hides_the_secrets() -> None:
    """An object in a traceback or a log shows none of its fields."""
    assert repr(Wire(AccessKey="AKIAIOSFODNN7EXAMPLE", SessionToken="secret")) == "Wire(...)"
