"""All captured datagrams of real SDKs: decoded completely, correlated as the SDKs' quirks explain.

Source of failures, losses at the sender and quirks: the SDKs' own code.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import NamedTuple

import pytest
from conformance.recordings import CAPTURES, EVERYTHING, played, recording, trees

from csm_otel.correlation.released import CorrelatedCall
from csm_otel.csm.decoding import decode
from csm_otel.csm.events import ApiCall, Dialect
from csm_otel.errors import MalformedDatagramError


class Result(NamedTuple):
    """The expected result of a scenario."""

    calls: int
    attempts: int
    missing: int = 0
    orphans: int = 0
    ambiguous: int = 0
    empty: int = 0
    """Datagrams rejected as empty; none is rejected for another reason."""


RESULTS: dict[str, dict[str, Result]] = {
    "aiobotocore-3.10.0": {"(start)": Result(4, 4)},
    "aws-sdk-go-1.55.6": {
        "simple": Result(1, 1),
        "retry503": Result(1, 2),
        "maxretries": Result(1, 3),
        "success-with-maxretries0": Result(1, 1),
        "400": Result(1, 1),
        "paramvalidation": Result(1, 0, missing=1),  # Go counts RetryCount + 1, also if nothing was sent
        "connrefused": Result(1, 2),
        "dnsfail": Result(1, 2),
        "timeout": Result(1, 2),
        "ctx-cancel": Result(1, 1),
        "sessiontoken": Result(1, 1),
        "nocreds-sign-error": Result(1, 0, missing=1),  # as in paramvalidation: signing failed, nothing was sent
        "anonymous": Result(1, 1),
        "concurrent5": Result(5, 5),
        "s3get-bodydelay": Result(1, 1),
        "new-session-new-port": Result(2, 2),
        "copied-session-double": Result(1, 1),  # despite its name it has a single pair
        "flood300": Result(300, 300),  # Go's channel of 100 was drained in time: nothing was lost
    },
    "aws-sdk-js-2.1693.0": {
        "simple": Result(1, 1),
        "retry503": Result(1, 2),
        "maxretries": Result(1, 3),
        "400long": Result(1, 1),
        "connrefused": Result(1, 2),
        "dnsfail": Result(1, 2),
        "timeout": Result(1, 2),
        "closed": Result(1, 2),
        "sessiontoken": Result(1, 1),
        "hugetoken": Result(1, 0, missing=1),  # over 8 KiB: the SDK drops the attempt, not the call
        "concurrent5": Result(5, 5),
        "s3get-bodydelay": Result(1, 1),
        "abort": Result(1, 2),  # an abort yields a second attempt, with the latency of the first
        "unauth": Result(1, 1),
        "badcreds": Result(1, 1),
    },
    "aws-sdk-php-3.376.2": {
        "simple": Result(1, 1),
        "retry503": Result(1, 2),
        "maxretries": Result(1, 3),
        # a message cut inside a UTF-8 character: json_encode fails, and attempt and call leave as empty datagrams
        "400-utf8-cut": Result(0, 0, empty=2),
        "400-utf8-cut-odd": Result(0, 0, empty=2),
        "connrefused": Result(1, 2),
        "dnsfail": Result(1, 2),
        "timeout": Result(1, 2),
        "sessiontoken": Result(1, 1),
        "hugetoken": Result(1, 1),  # PHP has no limit of 8 KiB
        "async3": Result(3, 3),
        "standard-mode-retry": Result(1, 2),
        "s3get-bodydelay": Result(1, 1),
        "presign": Result(1, 1),  # a phantom: signing a URL is reported like a request
    },
    "aws-sdk-ruby-core-3.211.0": {
        "simple": Result(1, 1),
        "retry503": Result(1, 2),
        "maxretries": Result(1, 3),
        "400": Result(1, 1),
        "paramvalidation": Result(1, 1),  # an attempt with nulls: nothing was sent
        "connrefused": Result(1, 2),
        "dnsfail": Result(1, 2),
        "timeout": Result(1, 2),
        "sessiontoken": Result(1, 1),
        "hugetoken": Result(1, 1),  # Ruby has no limit of 8 KiB
        "hugetoken70k": Result(1, 0, missing=1),  # beyond UDP: the SDK raises EMSGSIZE after the call was sent
        "nocreds": Result(1, 1),  # an attempt with nulls: nothing was sent
        "threads3": Result(3, 3),
        "s3get-bodydelay": Result(1, 1),
        "presign": Result(1, 1),  # a phantom: signing a URL is reported like a request
        "parse-failure": Result(1, 1),
    },
    "botocore-1.44.5": {
        "simple": Result(1, 1),
        "retry503": Result(1, 2),
        "maxretries-standard": Result(1, 3),
        "maxretries-legacy": Result(1, 2),
        "400long": Result(1, 1),
        "connrefused": Result(1, 3),
        "dnsfail": Result(1, 3),
        "readtimeout": Result(1, 2),
        "connclosed": Result(1, 2),
        "unsigned": Result(1, 1),
        "sessiontoken": Result(1, 1),
        "hugetoken": Result(1, 0, missing=1),  # over 8 KiB: the SDK drops the attempt, not the call
        "nocreds": Result(1, 0),  # AttemptCount 0
        "weirdkey": Result(1, 0, missing=1),  # an access key beyond \w: the SDK's own regex raises on the attempt
        "bearer-bedrock": Result(
            2, 0, missing=1
        ),  # without a token AttemptCount 0; with one, bearer calls send no attempts
        "sigv4a": Result(1, 0),  # AttemptCount 0: the signer was not installed
        "s3-redirect-nested-headbucket": Result(2, 4),  # GetObject with 1, HeadBucket inside it with 3
        "s3-redirect-header": Result(1, 2),
        "head404": Result(1, 1),
        "copyobject-200-error": Result(1, 2),
        "paginator-3-pages": Result(2, 2),  # it ended after the second
        "waiter": Result(3, 3),
        "s3express-nested-createsession": Result(2, 2),
        "assumerole-nested": Result(2, 2),
        "exc-SSLError": Result(1, 2),
        "exc-ProxyConnectionError": Result(1, 2),
        "exc-ConnectTimeoutError": Result(1, 2),
        "exc-HTTPClientError": Result(1, 2),
        "exc-ValueError": Result(1, 1),
        "unparsable500": Result(1, 2),
        "nomessage": Result(1, 1),
        "parse-failure-200": Result(1, 1),
        "end": Result(1, 1),
        "threads": Result(18, 18, ambiguous=4),  # threads of one API: two attempts fit a call, to 1 ms
        "two-clients-one-session": Result(1, 1),
        "second-session": Result(1, 1),
        "fork-after-first-send": Result(2, 2),
        "s3transfer-multipart-6parts": Result(8, 8, ambiguous=2),  # two parts began and ended within 1 ms of each other
        "s3get-streaming-body-not-in-latency": Result(1, 1),
        "ddb-buffered-body-in-latency": Result(1, 1),
        "connect-timeout": Result(1, 2),
        "xml-parse-failure-200": Result(1, 3),
        "xml-parse-failure-500": Result(1, 3),
        "web-identity-nested": Result(2, 2),
        "ua-override": Result(1, 1),
        "ua-extra-long": Result(1, 1),
        "before-call-short-circuit (Stubber)": Result(1, 0),  # AttemptCount 0
        "std-total1-success": Result(1, 1),
        "legacy-total1-success": Result(1, 1),
        "std-3rd-attempt-success": Result(1, 3),
        "std-total1-400": Result(1, 1),
        "endpoint-discovery-nested": Result(2, 2),
        "eventstream-subscribe": Result(1, 0, missing=1),  # the initial response did not parse: no attempt is reported
    },
}

# The only other payloads in any recording that are no event: again PHP's cut characters, attempt and call each.
EMPTY_DATAGRAMS = {"aws-sdk-php-3.376.2": 4, "php_errors": 4}

# JS reports an attempt that failed without a response with the latency of an earlier one; Ruby takes an attempt's start
# and length from two clocks.
GREATEST_OVERRUNS_MS = {
    "aws-sdk-js-2.1693.0": 100, "js_errors": 100, "js_retries": 49, "ruby_errors": 5, "ruby_mt8_client": 3,
}  # fmt: skip

DIALECTS = {
    "aio": Dialect.BOTOCORE,
    "aws-sdk-go": Dialect.GO,
    "aws-sdk-js": Dialect.JS,
    "aws-sdk-php": Dialect.PHP,
    "aws-sdk-ruby": Dialect.RUBY,
    "awscli": Dialect.BOTOCORE,
    "boto": Dialect.BOTOCORE,
    "cpp": Dialect.CPP,
    "go_": Dialect.GO,
    "gt_": Dialect.BOTOCORE,
    "java": Dialect.JAVA,
    "js_": Dialect.JS,
    "php": Dialect.PHP,
    "ruby": Dialect.RUBY,
}
"""By the prefix of the recordings' names."""


@pytest.mark.parametrize("name", CAPTURES)
def test_every_scenario_matches_its_sdk(name: str) -> None:
    """Each captured scenario gives the calls, attempts and gaps that follow from the SDK's documented behaviour."""
    recorded = recording(name)
    result = played(name)
    index_of = result.index_of()
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for index, reason in result.rejected:
        seen[recorded[index].label][reason] += 1
    for released in result.released:
        if isinstance(released, CorrelatedCall):
            counts = seen[recorded[index_of[id(released.call.event)]].label]
            counts["calls"] += 1
            counts["attempts"] += len(released.attempts)
            counts["missing"] += released.missing
            counts["ambiguous"] += released.ambiguous
        else:
            seen[recorded[index_of[id(released.attempt.event)]].label]["orphans"] += 1
    zero = {"calls": 0, "attempts": 0}

    assert RESULTS[name] == {label: Result(**{**zero, **counts}) for label, counts in seen.items()}


@pytest.mark.parametrize("name", CAPTURES)
def test_no_attempt_joins_a_call_of_another_scenario(name: str) -> None:
    """All attempts of a call were sent in its scenario."""
    recorded = recording(name)
    result = played(name)
    index_of = result.index_of()

    for released in result.released:
        if isinstance(released, CorrelatedCall):
            label = recorded[index_of[id(released.call.event)]].label
            assert {recorded[index_of[id(attempt.event)]].label for attempt in released.attempts} <= {label}


@pytest.mark.parametrize("name", EVERYTHING)
def test_every_datagram_is_one_event_of_its_sdk(name: str) -> None:
    """Every payload of a recording is one event in the dialect of its SDK, except the empty ones of PHP."""
    outcomes = Counter(_result_of(datagram.payload) for datagram in recording(name))
    dialect = next(dialect for start, dialect in DIALECTS.items() if name.startswith(start))
    empty = EMPTY_DATAGRAMS.get(name, 0)
    rejected = {"empty": empty} if empty else {}

    assert {dialect.value: outcomes.total() - empty, **rejected} == outcomes


@pytest.mark.parametrize("name", EVERYTHING)
def test_events_equal_their_datagrams(name: str) -> None:
    """Times, counts, names and results are decoded as sent; invalid statuses (0, -1) and nulls are absent."""
    for datagram in recording(name):
        if not datagram.payload:
            continue
        sent = json.loads(datagram.payload.decode("utf-8", "replace"))
        is_call = sent["Type"] == "ApiCall"
        final = "Final" if is_call else ""
        status = sent.get(f"{final}HttpStatusCode")
        [event] = decode(datagram.payload).events

        assert is_call == isinstance(event, ApiCall)
        assert (sent["Service"], sent["Api"], sent["ClientId"]) == (event.service, event.api, event.client_id)
        assert sent.get("Timestamp") == event.timestamp_ms
        assert sent.get("Latency" if is_call else "AttemptLatency") == event.latency_ms
        assert (sent.get("Region") or None) == event.region
        assert (status if status is not None and status > 0 else None) == event.status
        for kind, failure in (("Aws", event.aws_exception), ("Sdk", event.sdk_exception)):
            error_keys = {f"{final}{kind}Exception", f"{final}{kind}ExceptionMessage"} & sent.keys()
            assert bool(error_keys) == (failure is not None)
            # JS sends some names as numbers: 502
            assert str(sent.get(f"{final}{kind}Exception", "")) == (failure.name if failure else "")
        if isinstance(event, ApiCall):
            assert sent["AttemptCount"] == event.attempt_count
            assert bool(sent["MaxRetriesExceeded"]) == event.max_retries_exceeded


@pytest.mark.parametrize("name", EVERYTHING)
def test_each_tree_is_complete_and_in_order(name: str) -> None:
    """Attempts are children of their call, in its trace, and within its time, but for JS and Ruby, which are marked."""
    for tree in trees(name):
        call, *attempts = tree
        assert all(span.end_ns >= span.start_ns for span in tree)
        for attempt in attempts:
            assert (call.context.trace_id, call.context) == (attempt.context.trace_id, attempt.parent)
            overrun_ms = max(call.start_ns - attempt.start_ns, attempt.end_ns - call.end_ns, 0) / 1_000_000
            assert overrun_ms == attempt.attributes.get("csm.overrun_ms", 0)
            assert overrun_ms <= GREATEST_OVERRUNS_MS.get(name, 0)


def _result_of(payload: bytes) -> str:
    try:
        [event] = decode(payload).events
    except MalformedDatagramError as error:
        return error.reason
    return event.dialect.value
