"""What is measured of released calls and orphans, as values."""

from __future__ import annotations

from typing import Any

import pytest
import strategies
from arrivals import RUBY, RUBY_NULLS, Arrival, called, failed, finally_failed, tried
from datagrams import ABSENT, attempt
from hypothesis import given
from hypothesis import strategies as st
from mapped import mapper, released_by

from csm_otel.csm.decoding import decode
from csm_otel.errors import MalformedDatagramError
from csm_otel.spans.measures import ATTEMPT_DURATION, CALL_ATTEMPTS, CALL_DURATION, Measurement, measure
from csm_otel.spans.options import MappingOptions, RpcConventions

GET: dict[str, Any] = {"rpc.system.name": "aws-api", "rpc.method": "S3/GetObject", "cloud.region": "us-east-1"}
OK, ERROR = {"http.response.status_code": 200}, {"http.response.status_code": 503, "error.type": "SlowDown"}


def measured(*arrivals: Arrival, options: MappingOptions | None = None) -> list[Measurement]:
    """Return the measurements of all releases of a correlator for these arrivals, of which no span is sampled."""
    using = mapper(options=options)
    return [one for released in released_by(*arrivals) for one in measure(released, using.map(released), ())]


def test_call() -> None:
    """A call is measured once, with its number of attempts, and each attempt by its own result."""
    assert measured(tried("a", 1, 11, **failed()), tried("b", 20, 45), called(0, 50, AttemptCount=2)) == [
        Measurement(CALL_DURATION, 0.05, GET),
        Measurement(CALL_ATTEMPTS, 2, GET),
        Measurement(ATTEMPT_DURATION, 0.01, GET | ERROR),
        Measurement(ATTEMPT_DURATION, 0.025, GET | OK),
    ]


@pytest.mark.parametrize("sampled", [(), (0,), (0, 1), (2,), (0, 1, 2)], ids=str)
def test_each_value_is_that_of_a_span(sampled: tuple[int, ...]) -> None:
    """Durations and attempts of the call have its context, those of an attempt that one's; if they are sampled."""
    (released,) = released_by(tried("a", 1, 11, **failed()), tried("b", 20, 45), called(0, 50, AttemptCount=2))
    tree = mapper().map(released)
    call, first, second = (span.context if number in sampled else None for number, span in enumerate(tree))

    found = list(measure(released, tree, [tree[number] for number in sampled]))

    assert [one.context for one in found] == [call, call, first, second]


def test_an_orphan_is_a_span() -> None:
    """The duration of an orphan has its context."""
    (released,) = released_by(tried("a", 1, 11))
    tree = mapper().map(released)

    assert [one.context for one in measure(released, tree, tree)] == [tree[0].context]


@pytest.mark.parametrize(
    ("api", "expected"),
    [
        pytest.param("x" * 300, "S3/" + "x" * 125, id="ascii"),
        pytest.param("x" * 125, "S3/" + "x" * 125, id="as-long-as-it-may-be"),
        pytest.param("ä" * 300, "S3/" + "ä" * 62, id="bytes-are-counted"),
    ],
)
def test_long_values_are_cut(api: str, expected: str) -> None:
    """Senders cannot make a series as large as they like, and a cut leaves whole characters."""
    assert {one.attributes["rpc.method"] for one in measured(called(0, 30, Api=api))} == {expected}


def test_failed_call() -> None:
    """A failed call has its error's type, not its status."""
    call = called(0, 50, AttemptCount=1, **finally_failed())

    assert measured(tried("a", 1, 11, **failed()), call)[:2] == [
        Measurement(CALL_DURATION, 0.05, GET | {"error.type": "SlowDown"}),
        Measurement(CALL_ATTEMPTS, 1, GET | {"error.type": "SlowDown"}),
    ]


def test_missing_attempts_are_counted() -> None:
    """Attempts that the call counts and that were lost are attempts, of which no duration is known."""
    assert measured(called(0, 50, AttemptCount=3)) == [
        Measurement(CALL_DURATION, 0.05, GET),
        Measurement(CALL_ATTEMPTS, 3, GET),
    ]


def test_orphan() -> None:
    """An orphan is an attempt of a call that nothing is known of."""
    assert measured(tried("a", 1, 11)) == [Measurement(ATTEMPT_DURATION, 0.01, GET | OK)]


def test_attempts_that_were_not_sent_took_no_time() -> None:
    """Ruby's attempts without a request have no duration to be measured."""
    nulls = Arrival(attempt(RUBY, **RUBY_NULLS, AttemptLatency=None, HttpStatusCode=None), at=30)

    assert measured(nulls) == []


@pytest.mark.parametrize("conventions", RpcConventions)
def test_the_method_is_qualified(conventions: RpcConventions) -> None:
    """With any names on the spans, metrics have the new ones."""
    options = MappingOptions(rpc_conventions=conventions)

    assert {one.attributes["rpc.method"] for one in measured(tried("", 2, 27), called(0, 30), options=options)} == {
        "S3/GetObject"
    }
    assert all("rpc.service" not in one.attributes for one in measured(called(0, 30), options=options))


def test_high_cardinality_values_are_no_attributes() -> None:
    """Applications, hosts, accounts and ids would each create a separate series."""
    arrivals = (
        tried("id", 2, 27, AccessKey="ASIAY34FZKBOKMUTVV7A", ClientId="etl-4711"),
        called(0, 30, ClientId="etl-4711"),
    )

    assert {name for one in measured(*arrivals) for name in one.attributes} == GET.keys() | OK.keys()


def test_unknown_is_absent() -> None:
    """Without a region, or a service, there are the attributes that remain."""
    (duration, _) = measured(called(0, 30, AttemptCount=0, Region=ABSENT, Service="", FinalHttpStatusCode=ABSENT))

    assert duration.attributes == {"rpc.system.name": "aws-api", "rpc.method": "/GetObject"}


@given(payloads=st.lists(strategies.any_payload, max_size=6))
def test_every_measurement_is_one(payloads: list[bytes]) -> None:
    """For any datagrams, no duration is negative and every attribute is a text or a status."""
    arrivals = []
    for number, payload in enumerate(payloads):
        try:
            decode(payload)
        except MalformedDatagramError:
            continue
        arrivals.append(Arrival(payload, at=number))
    for one in measured(*arrivals):
        assert one.value >= 0
        assert all(isinstance(value, str | int) for value in one.attributes.values())
