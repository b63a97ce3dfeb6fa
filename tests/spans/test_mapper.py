"""Released calls and orphans to spans: names, times, status, ids, traces, resources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import strategies
from arrivals import (
    CPP,
    GO,
    JAVA,
    JS,
    PHP,
    RUBY,
    Arrival,
    called,
    failed,
    finally_failed,
    tried,
)
from conformance.recordings import EVERYTHING, played
from datagrams import ABSENT, BASE_MS
from hypothesis import given
from hypothesis import strategies as st
from mapped import HOST, RESOURCE, CountingIds, mapped, mapper, released_by

from csm_otel.csm.decoding import decode
from csm_otel.csm.events import Origin
from csm_otel.csm.times import NS_PER_MS
from csm_otel.errors import MalformedDatagramError
from csm_otel.spans.data import SpanData, SpanKind, TraceContext
from csm_otel.spans.mapper import SpanMapper
from csm_otel.spans.options import MappingOptions, MessageMode

if TYPE_CHECKING:
    from csm_otel.correlation.released import Released

TRACE, SPAN = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7
CARRIED = f"etl;00-{TRACE:032x}-{SPAN:016x}-01"
EXEC = TraceContext(trace_id=TRACE, span_id=SPAN, trace_state="vendor=1")
DAY_MS = 24 * 60 * 60 * 1000
CLI = "aws-cli/2.7.14 Python/3.9.11 Linux/5.10.16 exe/x86_64.amzn.2 prompt/off command/s3.ls"
LIST: dict[str, Any] = {"Service": "S3", "Api": "ListBuckets", "UserAgent": CLI}
EXPIRED = "The provided token has expired."
PLAIN = [tried("", 2, 27), called(0, 30)]


def places(spans: list[SpanData]) -> list[tuple[int, int]]:
    """Return starts and ends in ms after `BASE_MS`."""
    return [(span.start_ns // NS_PER_MS - BASE_MS, span.end_ns // NS_PER_MS - BASE_MS) for span in spans]


def test_the_exchange_that_started_it_all() -> None:
    """The AWS CLI's ListBuckets with an expired token: 878 ms of attempt in 880 ms of call, both failed."""
    call, attempt = mapped(
        tried("79104EXAMPLEB723", 1, 879, **LIST, **failed(400, "ExpiredToken", EXPIRED)),
        called(0, 880, **LIST, **finally_failed(400, "ExpiredToken", EXPIRED)),
    )

    assert (call.name, attempt.name) == ("S3.ListBuckets", "S3.ListBuckets attempt")
    assert places([call, attempt]) == [(0, 880), (1, 879)]
    assert (call.parent, attempt.parent) == (None, call.context)
    assert attempt.context.trace_id == call.context.trace_id
    for span in (call, attempt):
        assert span.kind is SpanKind.CLIENT
        assert (span.is_error, span.status_message) == (True, EXPIRED)
        assert span.attributes["error.type"] == "ExpiredToken"
        assert span.attributes["http.response.status_code"] == 400
        assert [(event.name, event.time_ns, event.attributes) for event in span.events] == [
            ("exception", span.end_ns, {"exception.type": "ExpiredToken", "exception.message": EXPIRED})
        ]
    assert call.attributes["csm.sdk"] == "aws-cli/2.7.14"


def test_its_twin_that_went_well() -> None:
    """The same call with a fresh token: 980 ms of attempt in 982 ms of call, and no word of an error."""
    call, attempt = mapped(tried("79104EXAMPLEB723", 1, 981, **LIST), called(0, 982, **LIST))

    assert places([call, attempt]) == [(0, 982), (1, 981)]
    assert attempt.parent == call.context
    for span in (call, attempt):
        assert (span.is_error, span.status_message, span.events) == (False, "", ())
        assert "error.type" not in span.attributes
        assert span.attributes["http.response.status_code"] == 200


@pytest.mark.parametrize(
    ("service", "api", "name"),
    [
        pytest.param("Secrets Manager", "GetSecretValue", "Secrets Manager.GetSecretValue", id="blanks-are-kept"),
        pytest.param("S3", ABSENT, "S3", id="no-api"),
        pytest.param(ABSENT, "GetObject", "GetObject", id="no-service"),
    ],
)
def test_name(service: object, api: object, name: str) -> None:
    """A span is named as its service and API were sent."""
    spans = mapped(tried("", 2, 27, Service=service, Api=api), called(0, 30, Service=service, Api=api))

    assert [span.name for span in spans] == [name, f"{name} attempt"]


# Time


@pytest.mark.parametrize(
    ("arrivals", "expected", "overruns"),
    [
        pytest.param(PLAIN, [(0, 30), (2, 27)], [None], id="start-stamped"),
        pytest.param(
            [tried("a", 0, 500, GO, **failed()), tried("b", 700, 744, GO), called(0, 744, GO, AttemptCount=2)],
            [(0, 744), (0, 500), (700, 744)],
            [None, None],
            id="go-end-stamped",
        ),
        pytest.param([tried("", 2, 31), called(0, 30, at=31)], [(0, 30), (1, 30)], [None], id="rounding-is-shifted"),
        pytest.param(
            [
                tried("a", 1, 100, JS, **failed()),
                tried("b", 150, 249, JS, at=152),
                called(0, 153, JS, AttemptCount=2),
            ],
            [(0, 153), (1, 100), (150, 249)],
            [None, 96],
            id="js-stale-latency-keeps-its-times",
        ),
        pytest.param(
            [called(0, 30, RUBY), tried("", 4, 35, RUBY, at=31)], [(0, 30), (4, 35)], [5], id="ruby-sticks-out"
        ),
        pytest.param([called(0, 0, AttemptCount=0, Latency=-50, at=0)], [(0, 0)], [], id="negative-latency"),
        pytest.param(
            [
                tried("", 2, 152, JAVA, HttpStatusCode=None, SdkException="I"),
                called(
                    0,
                    0,
                    JAVA,
                    at=153,
                    Timestamp=ABSENT,
                    Latency=ABSENT,
                    FinalHttpStatusCode=ABSENT,
                    FinalSdkException="I",
                ),
            ],
            [(2, 153), (2, 152)],
            [None],
            id="java-timeout-begins-with-its-attempt",
        ),
        pytest.param(
            [
                called(0, 4, RUBY, FinalHttpStatusCode=0, FinalSdkException="E"),
                tried("", 0, 0, RUBY, at=9, Timestamp=None, AttemptLatency=ABSENT, HttpStatusCode=0, SdkException="E"),
            ],
            [(0, 4), (4, 4)],
            [None],
            id="ruby-not-sent-is-a-point-at-the-end",
        ),
    ],
)
def test_times(arrivals: list[Arrival], expected: list[tuple[int, int]], overruns: list[int | None]) -> None:
    """Spans have the times of their datagrams, nested within their call but for a real overrun."""
    spans = mapped(*arrivals)

    assert places(spans) == expected
    assert [span.attributes.get("csm.overrun_ms") for span in spans[1:]] == overruns


@pytest.mark.parametrize(
    ("arrivals", "marks"),
    [
        pytest.param(
            [called(0, 50, RUBY), tried("r", 1, 20, RUBY, HttpStatusCode=307), tried("a", 21, 49, RUBY)],
            [True, None],
            id="followed",
        ),
        pytest.param(
            [called(0, 50, RUBY, FinalHttpStatusCode=307), tried("r", 1, 49, RUBY, HttpStatusCode=307)],
            [None],
            id="the-result",
        ),
    ],
)
def test_attempt_that_its_call_does_not_count_is_marked(arrivals: list[Arrival], marks: list[bool | None]) -> None:
    """A redirect that Ruby followed is marked."""
    _, *attempts = mapped(*arrivals)

    assert [attempt.attributes.get("csm.not_counted") for attempt in attempts] == marks


def test_not_sent_attempt_is_marked() -> None:
    """Ruby's attempt of nulls is marked as not sent."""
    _, attempt = mapped(
        called(0, 4, RUBY, FinalHttpStatusCode=0, FinalSdkException="ArgumentError"),
        tried("", 0, 0, RUBY, Timestamp=None, AttemptLatency=ABSENT, HttpStatusCode=0, SdkException="ArgumentError"),
    )

    assert attempt.attributes["csm.not_sent"] is True
    assert attempt.attributes["error.type"] == "ArgumentError"


@pytest.mark.parametrize(
    "days",
    [pytest.param(-2, id="two-days-behind"), pytest.param(1, id="a-day-ahead")],
)
def test_clock_that_is_not_believed(days: int) -> None:
    """A tree of a clock that is far off is moved as one, to end at the call's receipt."""
    off = days * DAY_MS
    spans = mapped(tried("", off + 2, off + 27, at=28), called(off, off + 30, at=30))

    assert places(spans) == [(0, 30), (2, 27)]
    assert spans[0].attributes["csm.time.adjusted"] == "timestamp_out_of_range"


def test_orphan_of_a_clock_that_is_not_believed() -> None:
    """An orphan is moved by itself."""
    spans = mapped(tried("", 9 * DAY_MS, 9 * DAY_MS + 25, at=25))

    assert places(spans) == [(0, 25)]
    assert spans[0].attributes["csm.time.adjusted"] == "timestamp_out_of_range"


def test_attempt_without_a_stamp_is_not_moved() -> None:
    """What is placed by its receipt already stays there when the rest of its tree is moved."""
    spans = mapped(tried("", 0, 20, at=22, Timestamp=ABSENT), called(-9 * DAY_MS, -9 * DAY_MS + 30, at=30))

    assert places(spans) == [(0, 30), (2, 22)]


@pytest.mark.parametrize(
    ("attempt_days", "call_days"),
    [
        pytest.param(-20_000, 50_000, id="both off, each its own way"),
        pytest.param(-20_000, 0, id="the attempt's alone"),
        pytest.param(0, 50_000, id="the call's alone"),
    ],
)
def test_clocks_that_disagree(attempt_days: int, call_days: int) -> None:
    """A call and an attempt whose clocks are years apart are each placed by their own receipt, never before 1970."""
    tried_at, called_at = attempt_days * DAY_MS, call_days * DAY_MS
    spans = mapped(tried("", tried_at + 2, tried_at + 27, at=27), called(called_at, called_at + 30, at=30))

    assert places(spans) == [(0, 30), (2, 27)]
    adjusted = ["timestamp_out_of_range" if days else None for days in (call_days, attempt_days)]
    assert [span.attributes.get("csm.time.adjusted") for span in spans] == adjusted


def test_hour_off_is_a_matter_of_the_sender() -> None:
    """A clock within bounds is trusted."""
    spans = mapped(tried("", -3_600_000, -3_599_975, at=25), called(-3_600_000, -3_599_970, at=30))

    assert places(spans) == [(-3_600_000, -3_599_970), (-3_600_000, -3_599_975)]
    assert "csm.time.adjusted" not in spans[0].attributes


# Results


@pytest.mark.parametrize(
    ("arrivals", "errors", "events"),
    [
        pytest.param(
            [
                tried("a", 1, 5, **failed()),
                tried("b", 40, 45, **failed()),
                tried("c", 90, 96),
                called(0, 97, AttemptCount=3, MaxRetriesExceeded=1),
            ],
            [None, "SlowDown", "SlowDown", None],
            [0, 1, 1, 0],
            id="success-in-the-end-though-max-retries-exceeded",
        ),
        pytest.param(
            [
                tried("a", 1, 5, **failed()),
                tried("b", 40, 45, **failed()),
                called(0, 46, AttemptCount=2, MaxRetriesExceeded=1, **finally_failed()),
            ],
            ["SlowDown", "SlowDown", "SlowDown"],
            [1, 1, 1],
            id="failure-in-the-end",
        ),
        pytest.param(
            [tried("a", 1, 5, HttpStatusCode=503), called(0, 6, FinalHttpStatusCode=503)],
            ["503", "503"],
            [0, 0],
            id="no-exception-is-made-of-a-status",
        ),
        pytest.param(
            [tried("a", 1, 5, HttpStatusCode=304), called(0, 6, FinalHttpStatusCode=304)],
            [None, None],
            [0, 0],
            id="not-modified",
        ),
        pytest.param(
            [tried("a", 1, 5, **failed()), called(0, 6, FinalHttpStatusCode=ABSENT)],
            ["SlowDown", "SlowDown"],
            [0, 1],
            id="no-final-fields-inherits-the-error-without-the-event",
        ),
        pytest.param(
            [tried("", 1, 2, PHP, **failed(None, "", "")), called(0, 3, PHP, **finally_failed(None, "", ""))],
            ["_OTHER", "_OTHER"],
            [0, 0],
            id="php-unnamed",
        ),
        pytest.param(
            [
                tried("", 0, 5, CPP, HttpStatusCode=-1, SdkExceptionMessage="curlCode: 56"),
                called(0, 6, CPP, FinalHttpStatusCode=-1, FinalSdkExceptionMessage="curlCode: 56"),
            ],
            ["_OTHER", "_OTHER"],
            [1, 1],
            id="cpp-message-alone",
        ),
        pytest.param([called(0, 30, **finally_failed())], ["SlowDown"], [1], id="attempt-lost"),
        pytest.param([called(0, 30, FinalHttpStatusCode=ABSENT)], [None], [0], id="nothing-known"),
    ],
)
def test_result(arrivals: list[Arrival], errors: list[str | None], events: list[int]) -> None:
    """Each span has the result of its own datagram; only a call without one has its last attempt's."""
    spans = mapped(*arrivals)

    assert [span.attributes.get("error.type") for span in spans] == errors
    assert [span.is_error for span in spans] == [error is not None for error in errors]
    assert [len(span.events) for span in spans] == events


def test_message_without_a_name() -> None:
    """An exception event has what there is: a message without a type."""
    (span,) = mapped(tried("", 0, 5, CPP, HttpStatusCode=-1, SdkExceptionMessage="curlCode: 56"))

    assert span.status_message == "curlCode: 56"
    assert span.events[0].attributes == {"exception.message": "curlCode: 56"}


def test_name_without_a_message() -> None:
    """The status message is empty rather than the code once more."""
    (span,) = mapped(tried("", 0, 5, **failed(403, "AccessDenied", "")))

    assert (span.is_error, span.status_message) == (True, "")
    assert span.events[0].attributes == {"exception.type": "AccessDenied"}


@pytest.mark.parametrize("messages", [MessageMode.NONE, "none"])
def test_messages_may_be_left_out(messages: MessageMode) -> None:
    """With messages set to none, as a text or not, neither the status nor the event has one."""
    options = MappingOptions(messages=messages)
    spans = mapped(tried("", 2, 27, **failed()), called(0, 30, **finally_failed()), options=options)

    for span in spans:
        assert (span.is_error, span.status_message) == (True, "")
        assert span.events[0].attributes == {"exception.type": "SlowDown"}


# Ids and traces


def test_each_call_is_a_trace() -> None:
    """Without anything that groups them, calls are roots of their own traces."""
    first, _, second, _ = mapped(*PLAIN, tried("", 42, 67), called(40, 70))

    assert (first.parent, second.parent) == (None, None)
    assert first.context.trace_id != second.context.trace_id
    assert first.context.sampled


@pytest.mark.parametrize("later_ms", [0, 3_600_000])
def test_xray_ids_have_the_time_of_their_call(later_ms: int) -> None:
    """The first 32 bits of a trace id are the second in which its call or orphan began; attempts have the call's."""
    options = MappingOptions(xray_trace_ids=True)
    call, attempt = mapped(tried("", later_ms + 2, later_ms + 27), called(later_ms, later_ms + 30), options=options)
    (orphan,) = mapped(tried("", later_ms, later_ms + 9, **failed()), options=options)
    second = (BASE_MS + later_ms) // 1000

    assert [span.context.trace_id >> 96 for span in (call, attempt, orphan)] == [second] * 3
    assert call.context.trace_id == attempt.context.trace_id


def test_other_ids_have_no_time() -> None:
    """By default an id is as the generator has made it."""
    call, *_ = mapped(called(0, 30))
    assert call.context.trace_id >> 96 != BASE_MS // 1000


def test_xray_ids_leave_joined_traces_alone() -> None:
    """A call below a parent has its trace id."""
    call, _ = mapped(*PLAIN, options=MappingOptions(xray_trace_ids=True), parent=EXEC)

    assert call.context.trace_id == TRACE


def test_ids_are_given_once_each() -> None:
    """No two spans share an id, and one trace is one id."""
    spans = mapped(
        tried("a", 1, 5, **failed()), tried("b", 40, 45, **failed()), tried("c", 90, 96), called(0, 97, AttemptCount=3)
    )

    assert len({span.context.span_id for span in spans}) == 4
    assert len({span.context.trace_id for span in spans}) == 1


def test_exec_is_the_parent_of_calls_and_orphans() -> None:
    """Under exec everything is below its span, with its trace state."""
    call, attempt, orphan = mapped(*PLAIN, tried("", 42, 67), parent=EXEC)

    assert (call.parent, attempt.parent, orphan.parent) == (EXEC, call.context, EXEC)
    for span in (call, attempt, orphan):
        assert (span.context.trace_id, span.context.trace_state) == (TRACE, "vendor=1")


def test_the_context_of_exec_in_the_client_id() -> None:
    """Its context in the client id is not mistaken for a remote one."""
    call, _ = mapped(tried("", 2, 27, ClientId=CARRIED), called(0, 30, ClientId=CARRIED), parent=EXEC)

    assert call.parent == EXEC
    assert call.attributes["csm.client_id"] == "etl"


@pytest.mark.parametrize(
    "client_id",
    [
        pytest.param(f"etl;00-{TRACE:032x}-{1:016x}-01", id="another-span"),
        pytest.param(f"etl;00-{1:032x}-{SPAN:016x}-01", id="another-trace"),
    ],
)
def test_client_id_goes_before_exec(client_id: str) -> None:
    """A script that sets its own context is placed there, even under exec."""
    (call,) = mapped(called(0, 30, ClientId=client_id), parent=EXEC)

    assert call.parent is not None
    assert call.parent.is_remote
    assert call.parent != EXEC


def test_context_in_the_client_id() -> None:
    """A call with a context in its client id joins that trace, and only the name is exported."""
    call, attempt = mapped(tried("", 2, 27, ClientId=CARRIED), called(0, 30, ClientId=CARRIED))

    assert call.parent == TraceContext(trace_id=TRACE, span_id=SPAN, is_remote=True)
    assert {span.context.trace_id for span in (call, attempt)} == {TRACE}
    assert call.attributes["csm.client_id"] == "etl"
    assert call.resource.service_name == "etl"


def test_orphan_joins_the_trace_of_its_client_id() -> None:
    """So does an orphan: its parent is not invented."""
    (orphan,) = mapped(tried("", 2, 27, ClientId=CARRIED))

    assert orphan.parent == TraceContext(trace_id=TRACE, span_id=SPAN, is_remote=True)
    assert orphan.name == "S3.GetObject attempt"


def test_unsampled_parent_is_honoured() -> None:
    """What the parent's owner decided not to record is not sampled here either."""
    call, attempt = mapped(tried("", 2, 27, ClientId=CARRIED[:-1] + "0"), called(0, 30, ClientId=CARRIED[:-1] + "0"))

    assert (call.context.sampled, attempt.context.sampled) == (False, False)


@pytest.mark.parametrize(
    ("trust", "joins"), [pytest.param(False, False, id="by-default"), pytest.param(True, True, id="asked-for")]
)
def test_context_from_another_host(*, trust: bool, joins: bool) -> None:
    """Anybody could join any trace over the network: a remote context counts only where that is asked for."""
    arrivals = [
        one._replace(host="10.0.0.7") for one in (tried("", 2, 27, ClientId=CARRIED), called(0, 30, ClientId=CARRIED))
    ]

    call, _ = mapped(*arrivals, options=MappingOptions(trust_remote_context=trust))

    assert (call.context.trace_id == TRACE) is joins
    assert (call.parent is not None) is joins
    assert call.attributes["csm.client_id"] == "etl"


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param(f"ff-{TRACE:032x}-{SPAN:016x}-01", id="version-ff"),
        pytest.param(f"00-{0:032x}-{SPAN:016x}-01", id="zero-trace"),
        pytest.param(f"00-{TRACE:032X}-{SPAN:016x}-01", id="upper-case"),
    ],
)
def test_invalid_context_starts_a_root(tail: str) -> None:
    """A tail that is no valid context makes a root, and is not part of the name."""
    (call,) = mapped(called(0, 30, ClientId=f"etl;{tail}"))

    assert (call.parent, call.attributes["csm.client_id"]) == (None, "etl")


# Resource


@pytest.mark.parametrize(
    ("call", "options", "expected"),
    [
        pytest.param({"ClientId": "etl"}, MappingOptions(service_name="set"), "etl", id="client-id-first"),
        pytest.param({"ClientId": CARRIED}, MappingOptions(), "etl", id="client-id-without-its-context"),
        pytest.param(
            {"ClientId": "etl", "UserAgent": "Boto3/1 app/billing"}, MappingOptions(), "etl", id="client-id-and-app-id"
        ),
        pytest.param({"UserAgent": "Boto3/1 app/billing"}, MappingOptions(service_name="set"), "billing", id="app-id"),
        pytest.param({}, MappingOptions(service_name="set"), "set", id="setting"),
        pytest.param({}, MappingOptions(), "unknown_service", id="unknown"),
    ],
)
def test_service_name(call: dict[str, Any], options: MappingOptions, expected: str) -> None:
    """The service is the monitored application, by the first name there is."""
    (span,) = mapped(called(0, 30, **call), options=options)

    assert span.resource.service_name == expected


def test_resource_is_shared_by_a_tree_and_has_the_host() -> None:
    """All spans of a tree have one resource: the given attributes, the name, and the host for local senders."""
    call, attempt = mapped(tried("", 2, 27, ClientId="etl"), called(0, 30, ClientId="etl"))

    assert call.resource is attempt.resource
    assert dict(call.resource.attributes) == {
        "host.name": HOST,
        "telemetry.distro.name": "csm-otel",
        "service.name": "etl",
    }


def test_remote_sender_is_not_on_this_host() -> None:
    """The daemon's host name is not that of a sender elsewhere."""
    (call,) = mapped(called(0, 30)._replace(host="10.0.0.7"))

    assert "host.name" not in dict(call.resource.attributes)


def test_resources_that_are_not_utf_8() -> None:
    """What UTF-8 cannot encode of a variable is a question mark, as all that is written needs text that it can."""
    using = SpanMapper(ids=CountingIds(), resource={"k\udcff": "v\udcff", "number": 1})

    attributes = using.resource_of("name\udcff", local=True).attributes

    assert attributes == (("k?", "v?"), ("number", 1), ("service.name", "name?"))


def test_resources_are_bounded() -> None:
    """Ever new client ids do not fill the memory, and a repeated one has an equal resource."""
    using = mapper()
    first = using.resource_of("first", local=True)

    for number in range(3_000):
        using.resource_of(f"{number}", local=True)

    assert len(using._resources) <= 1024
    assert using.resource_of("first", local=True) == first


# Laws


def _is_event(payload: bytes) -> bool:
    try:
        return bool(decode(payload).events)
    except MalformedDatagramError:
        return False


def typed(span: SpanData) -> tuple[object, ...]:
    """Return a span as values in which 1 and True differ."""
    attributes = [(name, type(value), value) for name, value in span.attributes.items()]
    events = [(event.name, event.time_ns, event.attributes) for event in span.events]
    times = (span.start_ns, span.end_ns)
    return span.name, attributes, events, times, span.context, span.parent, span.resource, span.status_message


class Cold:
    """A mapper that remembers nothing: another one for each call, with the ids of one."""

    def __init__(self, **options: Any) -> None:
        self._options = {"ids": CountingIds(), "resource": RESOURCE, "host_name": HOST, **options}

    def map(self, released: Released, origin: Origin | None) -> list[SpanData]:
        """Map one call."""
        return SpanMapper(**self._options).map(released, origin)


ORIGINS = [
    None,
    Origin(pid=7, start_ticks=70, start_ns=BASE_MS * NS_PER_MS, name="nightly", executable="python3"),
    Origin(pid=8, start_ticks=70, start_ns=BASE_MS * NS_PER_MS, name="nightly", executable="python3"),
]


@given(
    payloads=st.lists(
        st.tuples((strategies.well_formed() | strategies.misshapen()).filter(_is_event), st.integers(0, 400)),
        max_size=12,
    ),
    origins=st.lists(st.sampled_from(ORIGINS), min_size=12, max_size=12),
    hosts=st.lists(st.sampled_from(["127.0.0.1", "10.0.0.7"]), min_size=12, max_size=12),
    parent=st.sampled_from([None, EXEC]),
)
def test_what_is_remembered_is_what_would_be_computed(
    payloads: list[tuple[bytes, int]], origins: list[Origin | None], hosts: list[str], parent: TraceContext | None
) -> None:
    """Spans do not depend on what was mapped before, to the type of each attribute."""
    arrivals, at = [], 0
    for (payload, gap), host in zip(payloads, hosts, strict=False):
        at += gap
        arrivals.append(Arrival(payload, at, host=host))
    options = MappingOptions(service_name="set", user_agent=True)
    warm, cold = mapper(parent=parent, options=options), Cold(parent=parent, options=options)

    for released, origin in zip(released_by(*arrivals) * 2, origins * 4, strict=False):
        spans = warm.map(released, origin)
        assert [typed(span) for span in spans] == [typed(span) for span in cold.map(released, origin)]
        for span in spans:
            assert span.shape.is_shared
            assert span.own.keys().isdisjoint(span.shape.attributes)


@pytest.mark.parametrize("name", EVERYTHING)
def test_recordings_are_mapped_as_if_nothing_were_remembered(name: str) -> None:
    """The same holds for the calls of real SDKs."""
    warm, cold = mapper(), Cold()

    for released in played(name).released:
        assert [typed(span) for span in warm.map(released)] == [typed(span) for span in cold.map(released, None)]


def test_the_same_facts_share_a_shape() -> None:
    """Calls that differ in their times and ids only have one shape, and so have their attempts."""
    first, first_attempt, second, second_attempt = mapped(*PLAIN, tried("b", 42, 66), called(40, 70))

    assert first.shape is second.shape
    assert first_attempt.shape is second_attempt.shape
    assert first.shape is not first_attempt.shape


def fed(payloads: list[tuple[bytes, int]]) -> list[SpanData]:
    """Return the spans of the events among these."""
    arrivals = []
    at = 0
    for payload, gap in payloads:
        at += gap
        try:
            decode(payload)
        except MalformedDatagramError:
            continue
        arrivals.append(Arrival(payload, at))
    return mapped(*arrivals)


payloads = st.lists(st.tuples(strategies.well_formed() | strategies.misshapen(), st.integers(0, 400)), max_size=6)


@given(payloads)
def test_every_span_is_sound(payloads: list[tuple[bytes, int]]) -> None:
    """For any datagrams, times, types and ids are valid in OpenTelemetry, and attempts are below their calls."""
    spans = fed(payloads)

    contexts = {span.context: span for span in spans}
    for span in spans:
        assert 0 <= span.start_ns <= span.end_ns < 2**63
        assert 0 < span.context.trace_id < 2**128
        assert 0 < span.context.span_id < 2**64
        assert span.name
        for value in [
            *span.attributes.values(),
            *(value for event in span.events for value in event.attributes.values()),
        ]:
            assert type(value) in {str, bool, int}
            assert value != ""  # ruff: ignore[compare-to-empty-string]
            assert not isinstance(value, int) or -(2**63) <= value < 2**63
        assert span.is_error is ("error.type" in span.attributes)
        assert not span.events or span.is_error
        assert span.is_error or not span.status_message
        if span.parent in contexts:
            call = contexts[span.parent]
            assert span.name == f"{call.name} attempt"
            assert span.context.trace_id == call.context.trace_id
            assert span.resource is call.resource
            inside = call.start_ns <= span.start_ns and span.end_ns <= call.end_ns
            assert inside is ("csm.overrun_ms" not in span.attributes)


@given(payloads)
def test_as_many_spans_as_events(payloads: list[tuple[bytes, int]]) -> None:
    """Each event is one span: a call's, an attempt's below it, or an orphan's."""
    released = released_by(*(Arrival(payload, 0) for payload, _ in payloads if _is_event(payload)))
    events = sum(len(decode(payload).events) for payload, _ in payloads if _is_event(payload))
    using = mapper()

    assert sum(len(using.map(one)) for one in released) == events


@given(st.lists(strategies.leaking(), min_size=1, max_size=4))
def test_no_span_holds_a_secret(leaking: list[tuple[bytes, list[str]]]) -> None:
    """No planted key or token, nor 16 characters of it, is anywhere in span data."""
    spans = fed([(payload, 10) for payload, _ in leaking])

    assert len(spans) >= len(leaking)
    assert not strategies.holds_piece(repr(spans), [secret for _, secrets in leaking for secret in secrets])
