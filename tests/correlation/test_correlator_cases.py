"""Quirks of the SDKs, numbered as in the protocol notes: arrivals and releases as transcripts."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from arrivals import (
    CPP,
    DOTNET,
    FINALLY_REFUSED,
    GO,
    JAVA,
    JS,
    PHP,
    REFUSED,
    RUBY,
    RUBY_NULLS,
    Arrival,
    called,
    failed,
    finally_failed,
    transcript,
    tried,
)
from datagrams import ABSENT, BASE_MS, PHP_CALL_AGENT, TOKEN

HEADS: dict[str, Any] = {"Api": "HeadBucket"}

SEQUENTIAL = [
    pytest.param([tried("a", 2, 27), called(0, 30)], ["call@0 [a]"], id="01-botocore-simple"),
    pytest.param(
        [tried("a", 1, 5, **failed()), tried("b", 60, 62), called(0, 62, AttemptCount=2)],
        ["call@0 [a b]"],
        id="02-botocore-retry",
    ),
    pytest.param(
        [
            *(tried(name, at, at + 5, **failed()) for name, at in (("a", 1), ("b", 40), ("c", 90))),
            called(0, 96, AttemptCount=3, MaxRetriesExceeded=1, **finally_failed()),
        ],
        ["call@0 [a b c]"],
        id="03-botocore-retries-exhausted",
    ),
    pytest.param(
        [tried("a", 0, 500, GO, **failed()), tried("b", 700, 744, GO), called(0, 744, GO, AttemptCount=2)],
        ["call@0 [a b]"],
        id="05-go-retry",
    ),
    pytest.param([tried("a", 79, 79, GO), called(79, 79, GO)], ["call@79 [a]"], id="06-go-same-timestamp"),
    pytest.param([tried("a", 2, 27, GO, port=1), called(0, 30, GO, port=2)], ["call@0 [a]"], id="07-go-port-change"),
    pytest.param(
        [
            tried("", 0, 1, GO, HttpStatusCode=0, SdkException="RequestError", SdkExceptionMessage="no"),
            called(0, 1, GO, FinalHttpStatusCode=0, FinalSdkException="RequestError", FinalSdkExceptionMessage="no"),
        ],
        ["call@0 [-]"],
        id="09-go-refused",
    ),
    pytest.param(
        [called(0, 0, GO, **finally_failed(0, "InvalidParameter")), tried("a", 5, 9, GO), called(4, 10, GO)],
        ["call@0 [] missing 1", "call@4 [a]"],
        id="10-go-parameter-validation-waits-for-nothing",
    ),
    pytest.param(
        [tried("a", 2, 27, GO), tried("a", 2, 27, GO), called(0, 30, GO), called(0, 30, GO)],
        ["call@0 [a]", "call@0 [a]"],
        id="11-go-doubled-handlers",
    ),
    pytest.param(
        [
            called(0, 53, RUBY, port=1, AttemptCount=2),
            tried("a", 5, 6, RUBY, port=2, at=53, **failed()),
            tried("b", 10, 53, RUBY, port=3, at=54),
        ],
        ["call@0 [a b]"],
        id="13-ruby-call-first",
    ),
    pytest.param(
        [
            called(0, 0, RUBY, FinalHttpStatusCode=0, FinalSdkException="ArgumentError"),
            tried(
                "",
                0,
                0,
                RUBY,
                at=1,
                **RUBY_NULLS,
                AttemptLatency=ABSENT,
                HttpStatusCode=ABSENT,
                SdkException="ArgumentError",
            ),
        ],
        ["call@0 [-]"],
        id="15-ruby-nulls",
    ),
    pytest.param(
        [
            called(0, 2, RUBY, FinalSdkException="NonRetryable"),
            tried(
                "",
                0,
                0,
                RUBY,
                at=3,
                **RUBY_NULLS,
                AttemptLatency=ABSENT,
                HttpStatusCode=ABSENT,
                SdkException="NonRetryable",
            ),
        ],
        ["call@0 [-]"],
        id="15-ruby-nulls-after-a-status",
    ),
    pytest.param(
        [called(0, 2, RUBY, FinalHttpStatusCode=0), tried("", 2, 3, RUBY, HttpStatusCode=0)],
        ["call@0 [-]"],
        id="16-ruby-presign-phantom",
    ),
    pytest.param(
        [
            called(0, 2, RUBY, AttemptCount=2, **finally_failed(0, "Seahorse::Client::NetworkingError")),
            tried("a", 0, 0, RUBY, at=2, **failed(0, "Seahorse::Client::NetworkingError")),
            tried("b", 2, 2, RUBY, at=2, **failed(0, "Seahorse::Client::NetworkingError")),
        ],
        ["call@0 [a b]"],
        id="17-ruby-network-error",
    ),
    pytest.param(
        [tried("a", 2, 27, PHP), called(0, 30, PHP, UserAgent=PHP_CALL_AGENT)], ["call@0 [a]"], id="18-php-agents"
    ),
    pytest.param(
        [tried("", 1, 2, PHP, **failed(None, "", "")), called(0, 3, PHP, **finally_failed(None, "", ""))],
        ["call@0 [-]"],
        id="19-php-unnamed",
    ),
    pytest.param(
        [
            tried("a", 1, 10, PHP, **failed()),
            tried("b", 8, 70, PHP, at=60, **failed()),
            tried("c", 55, 130, PHP, at=110),
            called(0, 112, PHP, AttemptCount=3),
        ],
        ["call@0 [a b c]"],
        id="20-php-attempts-overlap",
    ),
    pytest.param(
        [tried("a", 2, 27, PHP, SessionToken=TOKEN * 20), called(0, 30, PHP)], ["call@0 [a]"], id="22-php-9-KB"
    ),
    pytest.param(
        [
            tried("a", 1, 4, JS, port=1, **failed()),
            tried("b", 60, 70, JS, port=2),
            called(0, 71, JS, port=2, AttemptCount=2),
        ],
        ["call@0 [a b]"],
        id="23-js-ports",
    ),
    pytest.param(
        [
            tried("a", 1, 100, JS, **failed()),
            tried("b", 150, 249, JS, at=152, **REFUSED),
            called(0, 153, JS, AttemptCount=2, **FINALLY_REFUSED),
        ],
        ["call@0 [a b]"],
        id="24-js-stale-latency",
    ),
    pytest.param(
        [
            tried("a", 1, 20, JS, HttpStatusCode=None, SdkException="TimeoutError"),
            tried("b", 15, 21, JS, HttpStatusCode=None, SdkException="RequestAbortedError"),
            called(0, 21, JS, AttemptCount=2, FinalHttpStatusCode=None, FinalSdkException="RequestAbortedError"),
        ],
        ["call@0 [a b]"],
        id="25-js-abort",
    ),
    pytest.param(
        [
            tried("a", 2, 27, DOTNET, HttpStatusCode=400, AWSException="Bad", ClientId=ABSENT),
            called(0, 30, DOTNET, FinalHttpStatusCode=400, FinalAWSException="Bad", ClientId=ABSENT),
        ],
        ["call@0 [a]"],
        id="27-dotnet-spelling",
    ),
    pytest.param([called(0, 30, DOTNET), tried("a", 2, 27, DOTNET, at=31)], ["call@0 [a]"], id="28-dotnet-call-first"),
    pytest.param(
        [tried("a", 200, 227, DOTNET, at=228), called(100, 110, DOTNET, at=230)],
        ["call@100 [a] expired"],
        id="29-dotnet-wrong-latency",
    ),
    pytest.param(
        [
            tried("a", 2, 152, JAVA, HttpStatusCode=None, SdkException="java.lang.InterruptedException"),
            called(
                0,
                0,
                JAVA,
                at=153,
                Timestamp=ABSENT,
                Latency=ABSENT,
                ApiCallTimeout=1,
                FinalHttpStatusCode=ABSENT,
                FinalSdkException="java.lang.InterruptedException",
            ),
        ],
        ["call@153 [a]"],
        id="30-java-timeout",
    ),
    pytest.param(
        [
            tried("a", 2, 20, JAVA, **failed()),
            tried("b", 2, 20, JAVA, at=40, **REFUSED),
            called(0, 41, JAVA, AttemptCount=2, **FINALLY_REFUSED),
        ],
        ["call@0 [a b]"],
        id="31-java-stale-times",
    ),
    pytest.param(
        [
            tried("", 0, 5, CPP, HttpStatusCode=-1, SdkExceptionMessage="curlCode: 56"),
            called(0, 6, CPP, FinalHttpStatusCode=-1, FinalSdkExceptionMessage="curlCode: 56"),
        ],
        ["call@0 [-]"],
        id="32-cpp-no-response",
    ),
    pytest.param(
        [
            called(0, 1, AttemptCount=0, Region=ABSENT, UserAgent=ABSENT, FinalHttpStatusCode=ABSENT),
            tried("a", 5, 9),
            called(4, 10),
        ],
        ["call@0 []", "call@4 [a]"],
        id="33-botocore-not-sent",
    ),
    pytest.param([called(0, 30)], ["call@0 [] missing 1"], id="34-35-botocore-attempt-never-sent"),
    pytest.param(
        [
            tried("inner", 3, 20, Service="STS", Api="AssumeRole"),
            called(2, 21, Service="STS", Api="AssumeRole"),
            tried("outer", 22, 40),
            called(0, 41),
        ],
        ["call@2 [inner]", "call@0 [outer]"],
        id="36-assume-role-nested",
    ),
    pytest.param(
        [
            tried("a", 1, 5, **failed(301, "PermanentRedirect"), Region="us-east-1"),
            tried("head", 7, 9, **HEADS, Region="us-east-1"),
            called(6, 10, **HEADS),
            tried("b", 11, 20, Region="eu-west-1"),
            called(0, 21, AttemptCount=2, Region="eu-west-1"),
        ],
        ["call@6 [head]", "call@0 [a b]"],
        id="37-s3-redirect-with-nested-head-bucket",
    ),
    pytest.param(
        [
            tried("session", 2, 9, Api="CreateSession"),
            called(1, 10, Api="CreateSession"),
            tried("a", 11, 20),
            called(0, 21),
        ],
        ["call@1 [session]", "call@0 [a]"],
        id="38-s3-express-session-nested",
    ),
    pytest.param(
        [tried("a", 5, 5, **failed()), tried("b", 5, 5), called(5, 5, AttemptCount=2)],
        ["call@5 [a b]"],
        id="43-all-within-a-millisecond",
    ),
    pytest.param([tried("a", 2, 31), called(0, 30, at=31)], ["call@0 [a]"], id="44-ends-1-ms-after-its-call"),
    pytest.param(
        [
            tried("a", 20, 20, AttemptLatency=-9_975, at=45),
            called(0, 0, Latency=-9_950, at=46),
        ],
        ["call@0 [a]"],
        id="45-clock-stepped-back",
    ),
    pytest.param(
        [
            tried("a", 3_600_001, 3_600_005, at=5, **failed()),
            tried("b", 3_600_060, 3_600_070, at=70),
            called(3_600_000, 3_600_071, at=71, AttemptCount=2),
        ],
        ["call@3600000 [a b]"],
        id="46-clock-an-hour-ahead",
    ),
    pytest.param(
        [
            tried("a", 3_600_002, 3_600_002, AttemptLatency=-3_599_975, at=27),
            called(3_600_000, 3_600_000, Latency=-3_599_970, at=30),
        ],
        ["call@3600000 [a]"],
        id="45-clock-stepped-back-an-hour",
    ),
    pytest.param(
        [
            tried("a", -3_599_999, -3_599_990, JS, at=10, **failed()),
            tried("b", 50, 98, JS),
            called(-3_600_000, -3_599_900, JS, at=100, AttemptCount=2),
        ],
        ["call@-3600000 [a b]"],
        id="45-clock-an-hour-behind-that-is-set-in-mid-call",
    ),
    pytest.param(
        [tried("a", 3, 10, JS, **failed()), tried("b", 2, 20, JS, at=21), called(0, 22, JS, AttemptCount=2)],
        ["call@0 [a b]"],
        id="25-js-last-is-last-though-it-began-first",
    ),
    pytest.param(
        [
            tried("a", 2, 27),
            called(
                0, 30, Timestamp=float(BASE_MS), UserAgent=ABSENT, FinalHttpStatusCode=ABSENT, MaxRetriesExceeded=ABSENT
            ),
        ],
        ["call@0 [a]"],
        id="47-release-of-2018",
    ),
    pytest.param(
        [tried("old", 2, 27), tried("a", 102, 127), called(100, 130)],
        ["call@100 [a]", "orphan old flushed"],
        id="53-lost-call-leaves-its-attempt-alone",
    ),
    pytest.param(
        [
            *(tried(name, at, at + 5, **failed()) for name, at in (("a", 1), ("b", 900), ("c", 2_000))),
            tried("d", 599_000, 600_000),
            called(0, 600_001, AttemptCount=4),
        ],
        ["call@0 [a b c d]"],
        id="54-ten-minutes",
    ),
    pytest.param(
        [tried("b", 60, 62), called(0, 62, AttemptCount=2)], ["call@0 [b] missing 1"], id="55-restart-in-mid-call"
    ),
    pytest.param(
        [tried("a", 2, 27, ClientId=ABSENT), called(0, 30, ClientId="")], ["call@0 [a]"], id="56-client-id-absent"
    ),
    pytest.param(
        [tried("a", 2, 27, ClientId="é" * 255), called(0, 30, ClientId="é" * 255)],
        ["call@0 [a]"],
        id="56-client-id-255",
    ),
    pytest.param(
        [tried("a", 2, 27, ClientId="one"), called(0, 30, ClientId="two")],
        ["call@0 [] missing 1", "orphan a flushed"],
        id="56-another-client-id",
    ),
    pytest.param(
        [tried("a", 2, 27)._replace(host="::1"), called(0, 30)._replace(host="::1")], ["call@0 [a]"], id="58-ipv6"
    ),
    pytest.param(
        [tried("a", 2, 27)._replace(host="10.0.0.7"), called(0, 30)],
        ["call@0 [] missing 1", "orphan a flushed"],
        id="58-another-host",
    ),
    pytest.param(
        [
            tried("a", 2, 27, Service="S3"),
            tried("b", 2, 27, Service="SQS"),
            called(0, 30, Service="SQS"),
            called(0, 30),
        ],
        ["call@0 [b]", "call@0 [a]"],
        id="59-two-services-one-client-id",
    ),
    pytest.param(
        [
            tried("a", 2, 9, **failed(404, "404", "Not Found"), **HEADS),
            called(0, 10, **finally_failed(404, "404", "Not Found"), **HEADS),
        ],
        ["call@0 [a]"],
        id="61-head-404",
    ),
    pytest.param(
        [
            tried("a", 2, 9, **failed(500, "InternalError")),
            tried("b", 30, 39),
            called(0, 40, AttemptCount=2),
        ],
        ["call@0 [a b]"],
        id="62-copy-object-error-in-200",
    ),
    pytest.param(
        [called(0, 9, FinalHttpStatusCode=ABSENT)], ["call@0 [] missing 1"], id="63-event-stream-without-attempt"
    ),
]

CONCURRENT = [
    pytest.param(
        [
            tried("x", 1, 30, GO),
            tried("y", 2, 30, GO),
            called(0, 30, GO, XAmznRequestId="y"),
            called(1, 30, GO, XAmznRequestId="x"),
        ],
        ["call@0 [y]", "call@1 [x]"],
        id="08-go-request-id-beats-timing",
    ),
    pytest.param(
        [
            called(1, 24, RUBY, port=1),
            called(2, 25, RUBY, port=2),
            tried("b", 3, 25, RUBY, port=3, at=26),
            called(0, 25, RUBY, port=4, at=26),
            tried("a", 1, 23, RUBY, port=5, at=26),
            tried("c", 0, 25, RUBY, port=6, at=27),
        ],
        ["call@1 [a]", "call@2 [b]", "call@0 [c]"],
        id="14-ruby-three-threads",
    ),
    pytest.param(
        [
            line
            for number in range(5)
            for line in (
                tried(f"{number}", 2 + number, 20 + 3 * number, JS, port=number),
                called(number, 21 + 3 * number, JS, port=number),
            )
        ],
        [f"call@{number} [{number}]" for number in range(5)],
        id="26-js-five-at-once",
    ),
    pytest.param(
        [
            tried("parent", 2, 20),
            tried("child", 12, 25),
            called(0, 21),
            called(10, 26),
        ],
        ["call@0 [parent]", "call@10 [child]"],
        id="40-fork-shares-a-port",
    ),
    pytest.param(
        [tried("a", 2, 27, port=1), tried("b", 2, 27, port=2), called(0, 30, port=2), called(0, 30, port=1)],
        ["call@0 [b]", "call@0 [a]"],
        id="40-ports-distinguish-processes",
    ),
    pytest.param(
        [
            line
            for part in range(6)
            for line in (
                tried(f"p{part}", 32 + 2 * part, 50 + 11 * part, Api="UploadPart"),
                called(2 * part, 51 + 11 * part, Api="UploadPart"),
            )
        ],
        [f"call@{2 * part} [p{part}]" for part in range(6)],
        id="60-multipart-upload",
    ),
]


@pytest.mark.parametrize(("arrivals", "expected"), [*SEQUENTIAL, *CONCURRENT])
def test_transcript(arrivals: list[Arrival], expected: list[str]) -> None:
    """In spite of each quirk, every call is released with its own attempts."""
    assert transcript(*arrivals) == expected


def test_go_flood() -> None:
    """Three hundred overlapping calls of goroutines all get their own attempt by its request id."""
    arrivals = [
        one
        for number in range(300)
        for one in (
            tried(f"r{number}", number // 10, number // 10 + 8, GO),
            called(number // 10, number // 10 + 8, GO, XAmznRequestId=f"r{number}"),
        )
    ]
    arrivals.sort(key=lambda arrival: (arrival.at, b'"ApiCall"' in arrival.payload))

    lines = transcript(*arrivals)

    assert Counter(line.partition(" ")[2] for line in lines) == Counter(f"[r{number}]" for number in range(300))
