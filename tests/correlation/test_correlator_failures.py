"""Failures between a sender and the correlator, and the releases and spans that result, case by case.

A failure that is also a quirk in
`test_correlator_cases` is here for its spans only. Kernel drops are tested in `test_agent`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from arrivals import (
    DOTNET,
    FINALLY_REFUSED,
    GO,
    GRACE,
    JS,
    PHP,
    REFUSED,
    RUBY,
    RUBY_NULLS,
    WAIT,
    Arrival,
    all_released,
    as_lines,
    called,
    failed,
    tried,
)
from datagrams import ABSENT, BASE_MS
from mapped import mapper

from csm_otel.correlation.correlator import CorrelatorLimits
from csm_otel.csm.times import NS_PER_MS

if TYPE_CHECKING:
    from csm_otel.correlation.released import Released
    from csm_otel.spans.data import SpanData

HOUR = 3_600_000
LATE = int(GRACE * 1000) + 1
_SHOWN = ("attempt.number", "attempts_missing", "correlation", "not_sent", "orphan", "overrun_ms", "time.adjusted")


def spans_of(released: list[Released]) -> list[str]:
    """Return the spans of the releases as lines: kind, start and end, and the attributes of the failure."""
    using = mapper()
    return [_line(span) for one in released for span in using.map(one)]


def _line(span: SpanData) -> str:
    kind = span.name.removeprefix("S3.GetObject").strip() or "call"
    start, end = (time_ns // NS_PER_MS - BASE_MS for time_ns in (span.start_ns, span.end_ns))
    known = {name: span.attributes.get(f"csm.{name}") for name in _SHOWN}
    words = [kind, f"{start}..{end}", *(f"{name}={value}" for name, value in known.items() if value is not None)]
    return "  " * (span.parent is not None) + " ".join(words)


def remote(arrival: Arrival) -> Arrival:
    """Return an arrival from another host."""
    return arrival._replace(host="10.0.0.7")


# More of it: 34-35, 63.
ATTEMPT_LOST = [
    pytest.param(
        [called(0, 30)],
        ["call@0 [] missing 1"],
        ["call 0..30 attempts_missing=1"],
        id="attempt-lost-the-only-one",
    ),
    pytest.param(
        [tried("b", 60, 62), called(0, 62, AttemptCount=2)],
        ["call@0 [b] missing 1"],
        ["call 0..62 attempts_missing=1", "  attempt 60..62"],
        id="attempt-lost-the-first",
    ),
    pytest.param(
        [tried("a", 1, 5, **failed()), tried("c", 160, 162), called(0, 162, AttemptCount=3)],
        ["call@0 [a c] missing 1"],
        ["call 0..162 attempts_missing=1", "  attempt 1..5", "  attempt 160..162"],
        id="attempt-lost-in-the-middle",
    ),
    pytest.param(
        [tried("a", 1, 5, **failed()), called(0, 62, AttemptCount=2)],
        ["call@0 [a] missing 1"],
        ["call 0..62 attempts_missing=1", "  attempt 1..5"],
        id="attempt-lost-the-last",
    ),
    pytest.param(
        [called(0, 30, RUBY), tried("a", 2, 27, RUBY, at=30 + LATE)],
        ["call@0 [] missing 1 expired", "orphan a flushed"],
        ["call 0..30 attempts_missing=1", "attempt 2..27 orphan=True"],
        id="attempt-lost-is-waited-for-no-longer-than-the-grace",
    ),
    pytest.param(
        [remote(called(0, 30)), remote(called(500, 530, Api="ListBuckets"))],
        ["call@0 [] missing 1 expired", "call@500 [] missing 1 expired"],
        ["call 0..30 attempts_missing=1", "S3.ListBuckets 500..530 attempts_missing=1"],
        id="attempt-lost-on-the-network",
    ),
]

# When there is no room: FLOOD.
CALL_LOST = [
    pytest.param(
        [tried("a", 1, 5, **failed()), tried("b", 60, 62)],
        ["orphan a flushed", "orphan b flushed"],
        ["attempt 1..5 orphan=True", "attempt 60..62 orphan=True"],
        id="call-lost-until-the-end",
    ),
    pytest.param(
        [tried("a", 1, 5), tried("b", 0, 4, at=int(WAIT * 1000) + 5)],
        ["orphan a expired", "orphan b flushed"],
        ["attempt 1..5 orphan=True", "attempt 0..4 orphan=True"],
        id="call-lost-for-longer-than-any-call",
    ),
    pytest.param(
        [tried("a", 1, 5), tried("b", int(WAIT * 1000) + 2, int(WAIT * 1000) + 4), called(0, int(WAIT * 1000) + 5)],
        ["orphan a expired", "call@0 [b]"],
        ["attempt 1..5 orphan=True", f"call 0..{int(WAIT * 1000) + 5}", "  attempt 900002..900004 attempt.number=1"],
        id="call-lost-but-for-one-that-is-longer-than-any",
    ),
]

AMBIGUITY = [
    pytest.param(
        [tried("a", 0, 20), tried("b", 0, 20), called(0, 21), called(0, 22, at=21)],
        ["call@0 [b] ambiguous", "call@0 [a] ambiguous"],
        [
            "call 0..21 correlation=ambiguous",
            "  attempt 0..20",
            "call 0..22 correlation=ambiguous",
            "  attempt 0..20",
        ],
        id="ambiguity-of-two",
    ),
    pytest.param(
        [tried("a", 0, 20), tried("b", 0, 20), called(0, 21)],
        ["call@0 [a] ambiguous", "orphan b flushed"],
        ["call 0..21 correlation=ambiguous", "  attempt 0..20", "attempt 0..20 orphan=True"],
        id="ambiguity-where-the-other-call-was-lost",
    ),
    pytest.param(
        [tried("a", 0, 10), tried("b", 30, 50), called(0, 11), called(30, 51)],
        ["call@0 [a]", "call@30 [b]"],
        ["call 0..11", "  attempt 0..10 attempt.number=1", "call 30..51", "  attempt 30..50 attempt.number=1"],
        id="ambiguity-none-by-times",
    ),
]

CLOCK_STEP = [
    pytest.param(
        [tried("a", 20, 20, AttemptLatency=-9_975, at=45), called(0, 0, Latency=-9_950, at=46)],
        ["call@0 [a]"],
        ["call 0..46", "  attempt 20..20 attempt.number=1"],
        id="clock-step-back-by-ten-seconds-negative-latencies",
    ),
    pytest.param(
        [
            tried("a", HOUR + 2, HOUR + 2, AttemptLatency=-HOUR + 25, at=27),
            called(HOUR, HOUR, Latency=-HOUR + 30, at=30),
        ],
        [f"call@{HOUR} [a]"],
        ["call 30..30 time.adjusted=timestamp_out_of_range", "  attempt 30..30 attempt.number=1"],
        id="clock-step-back-by-an-hour-negative-latencies",
    ),
    pytest.param(
        [tried("a", -HOUR + 1, 10), called(-HOUR, 11)],
        [f"call@{-HOUR} [a]"],
        [f"call {-HOUR}..11", f"  attempt {-HOUR + 1}..10 attempt.number=1"],
        id="clock-step-ahead-by-an-hour-huge-latencies",
    ),
    pytest.param(
        [
            tried("a", HOUR + 1, HOUR + 5, at=5, **failed()),
            tried("b", HOUR + 60, HOUR + 70, at=70),
            called(HOUR, HOUR + 71, at=71, AttemptCount=2),
        ],
        [f"call@{HOUR} [a b]"],
        [
            "call 0..71 time.adjusted=timestamp_out_of_range",
            "  attempt 1..5 attempt.number=1",
            "  attempt 60..70 attempt.number=2",
        ],
        id="clock-an-hour-ahead-is-not-trusted",
    ),
    pytest.param(
        [tried("a", -HOUR + 1, -HOUR + 5, at=5), called(-HOUR, -HOUR + 6, at=6)],
        [f"call@{-HOUR} [a]"],
        [f"call {-HOUR}..{-HOUR + 6}", f"  attempt {-HOUR + 1}..{-HOUR + 5} attempt.number=1"],
        id="clock-an-hour-behind-is-the-senders",
    ),
    pytest.param(
        [
            tried("a", -HOUR + 1, -HOUR + 10, JS, at=10, **failed()),
            tried("b", 50, 98, JS),
            called(-HOUR, -HOUR + 100, JS, at=100, AttemptCount=2),
        ],
        [f"call@{-HOUR} [a b]"],
        [
            f"call {-HOUR}..{-HOUR + 100}",
            f"  attempt {-HOUR + 1}..{-HOUR + 10} attempt.number=1",
            f"  attempt 50..98 attempt.number=2 overrun_ms={HOUR - 2}",
        ],
        id="clock-step-in-mid-call",
    ),
    pytest.param(
        [tried("a", 30 * HOUR, 30 * HOUR + 25, at=25)],
        ["orphan a flushed"],
        ["attempt 0..25 orphan=True time.adjusted=timestamp_out_of_range"],
        id="clock-a-day-ahead-orphan",
    ),
]

# More of it: 53.
PORT_REUSE = [
    pytest.param(
        [tried("old", 2, 27), tried("new", 5_002, 5_027), called(5_000, 5_030)],
        ["call@5000 [new]", "orphan old flushed"],
        ["call 5000..5030", "  attempt 5002..5027 attempt.number=1", "attempt 2..27 orphan=True"],
        id="port-reuse-leaves-the-old-attempt-alone",
    ),
    pytest.param(
        [tried("old", 2, 27), called(5_000, 5_030)],
        ["call@5000 [] missing 1", "orphan old flushed"],
        ["call 5000..5030 attempts_missing=1", "attempt 2..27 orphan=True"],
        id="port-reuse-even-where-the-new-attempt-was-lost",
    ),
    pytest.param(
        [tried("old", 2, 27, **failed()), tried("new", 5_002, 5_027), called(5_000, 5_030, AttemptCount=2)],
        ["call@5000 [new] missing 1", "orphan old flushed"],
        ["call 5000..5030 attempts_missing=1", "  attempt 5002..5027", "attempt 2..27 orphan=True"],
        id="port-reuse-even-where-it-would-be-the-first-of-two",
    ),
]

# More of it: 40 (two rows). Among hosts, client ids and ports: 56, 58.
FORKS_AND_NAT = [
    pytest.param(
        [
            tried("parent", 1, 5, **failed(500, "InternalError")),
            tried("child", 4, 9, **failed(500, "InternalError")),
            tried("parent2", 30, 40),
            called(0, 40, AttemptCount=2),
            tried("child2", 35, 60),
            called(3, 60, AttemptCount=2),
        ],
        ["call@0 [parent parent2]", "call@3 [child child2]"],
        [
            "call 0..40",
            "  attempt 1..5 attempt.number=1",
            "  attempt 30..40 attempt.number=2",
            "call 3..60",
            "  attempt 4..9 attempt.number=1",
            "  attempt 35..60 attempt.number=2",
        ],
        id="fork-siblings-interleave-like-threads",
    ),
    pytest.param(
        [
            remote(tried("a", 2, 27, port=1)),
            remote(tried("b", 2, 27, port=2)),
            remote(called(0, 30, port=2)),
            remote(called(0, 30, port=1)),
        ],
        ["call@0 [b]", "call@0 [a]"],
        ["call 0..30", "  attempt 2..27 attempt.number=1"] * 2,
        id="nat-ports-distinguish-hosts",
    ),
    pytest.param(
        [
            remote(tried("a", 2, 27, GO, ClientId="one")),
            remote(tried("b", 2, 27, GO, ClientId="two")),
            remote(called(0, 30, GO, ClientId="two")),
            remote(called(0, 30, GO, ClientId="one")),
        ],
        ["call@0 [b]", "call@0 [a]"],
        ["call 0..30", "  attempt 2..27 attempt.number=1"] * 2,
        id="nat-client-ids-do-where-ports-change",
    ),
    pytest.param(
        [
            remote(tried("a", 2, 20, JS)),
            remote(tried("b", 12, 30, JS)),
            remote(called(0, 21, JS)),
            remote(called(10, 31, JS)),
        ],
        ["call@0 [a]", "call@10 [b]"],
        ["call 0..21", "  attempt 2..20 attempt.number=1", "call 10..31", "  attempt 12..30 attempt.number=1"],
        id="nat-else-times-do",
    ),
]

# More of it: 13, 28.
REORDERING = [
    pytest.param(
        [called(0, 30, dialect), tried("a", 2, 27, dialect, at=29 + LATE - 1)],
        ["call@0 [a]"],
        ["call 0..30", "  attempt 2..27 attempt.number=1"],
        id=f"reordering-{dialect}-within-the-grace",
    )
    for dialect in (RUBY, DOTNET, JS)
]
REORDERING += [
    pytest.param(
        [remote(called(0, 30)), remote(tried("a", 2, 27, at=31))],
        ["call@0 [a]"],
        ["call 0..30", "  attempt 2..27 attempt.number=1"],
        id="reordering-on-the-network",
    ),
    pytest.param(
        [called(0, 30), tried("a", 2, 27, at=31)],
        ["call@0 [] missing 1", "orphan a flushed"],
        ["call 0..30 attempts_missing=1", "attempt 2..27 orphan=True"],
        id="reordering-is-not-waited-for-where-it-does-not-happen",
    ),
]

# More of it: 11.
DOUBLED = [
    pytest.param(
        [tried("a", 2, 27), tried("a", 2, 27), called(0, 28), called(0, 28)],
        ["call@0 [a]", "call@0 [a]"],
        ["call 0..28", "  attempt 2..27 attempt.number=1"] * 2,
        id="doubled-both-are-kept",
    ),
    pytest.param(
        [tried("a", 2, 27), tried("a", 2, 27), called(0, 28)],
        ["call@0 [a]", "orphan a flushed"],
        ["call 0..28", "  attempt 2..27 attempt.number=1", "attempt 2..27 orphan=True"],
        id="doubled-attempt-of-one-call",
    ),
    pytest.param(
        [tried("a", 2, 27), called(0, 28), called(0, 28)],
        ["call@0 [a]", "call@0 [] missing 1"],
        ["call 0..28", "  attempt 2..27 attempt.number=1", "call 0..28 attempts_missing=1"],
        id="doubled-call-of-one-attempt",
    ),
]

# More of it: 15-16.
PHANTOM = [
    pytest.param(
        [
            called(0, 4, RUBY, FinalHttpStatusCode=0, FinalSdkException="ArgumentError"),
            tried(
                "",
                0,
                0,
                RUBY,
                at=60,
                **RUBY_NULLS,
                AttemptLatency=ABSENT,
                HttpStatusCode=ABSENT,
                SdkException="ArgumentError",
            ),
        ],
        ["call@0 [-]"],
        ["call 0..4", "  attempt 4..4 attempt.number=1 not_sent=True"],
        id="phantom-of-nulls",
    ),
    pytest.param(
        [tried("", 2, 2, PHP, HttpStatusCode=0), called(0, 2, PHP, FinalHttpStatusCode=0)],
        ["call@0 [-]"],
        ["call 0..2", "  attempt 2..2 attempt.number=1"],
        id="phantom-of-a-presigned-url-is-kept-as-its-call-counts-it",
    ),
]

# More of it: 20, 24.
OVERRUN = [
    pytest.param(
        [
            tried("a", 1, 100, JS, **failed()),
            tried("b", 150, 249, JS, at=152, **REFUSED),
            called(0, 153, JS, AttemptCount=2, **FINALLY_REFUSED),
        ],
        ["call@0 [a b]"],
        ["call 0..153", "  attempt 1..100 attempt.number=1", "  attempt 150..249 attempt.number=2 overrun_ms=96"],
        id="overrun-js-stale-latency",
    ),
    pytest.param(
        [
            tried("a", 1, 10, PHP, **failed()),
            tried("b", 8, 70, PHP, at=60, **failed()),
            tried("c", 55, 130, PHP, at=110),
            called(0, 112, PHP, AttemptCount=3),
        ],
        ["call@0 [a b c]"],
        [
            "call 0..112",
            "  attempt 1..10 attempt.number=1",
            "  attempt 8..70 attempt.number=2",
            "  attempt 55..130 attempt.number=3 overrun_ms=18",
        ],
        id="overrun-php-back-off-in-the-latency",
    ),
]

# More of it: 36-38; and of restarts: 55.
NESTED_AND_RESTART = [
    pytest.param(
        [
            tried("inner", 3, 20, Service="STS", Api="AssumeRole"),
            called(2, 21, Service="STS", Api="AssumeRole"),
            tried("outer", 22, 40),
            called(0, 41),
        ],
        ["call@2 [inner]", "call@0 [outer]"],
        [
            "STS.AssumeRole 2..21",
            "  STS.AssumeRole attempt 3..20 attempt.number=1",
            "call 0..41",
            "  attempt 22..40 attempt.number=1",
        ],
        id="nested-call-is-a-root-of-its-own",
    ),
    pytest.param(
        [tried("b", 60, 62), called(0, 63, AttemptCount=2), tried("c", 102, 127), called(100, 128)],
        ["call@0 [b] missing 1", "call@100 [c]"],
        ["call 0..63 attempts_missing=1", "  attempt 60..62", "call 100..128", "  attempt 102..127 attempt.number=1"],
        id="daemon-restart-costs-what-came-before-it",
    ),
]


@pytest.mark.parametrize(
    ("arrivals", "lines", "spans"),
    [
        *ATTEMPT_LOST,
        *CALL_LOST,
        *AMBIGUITY,
        *CLOCK_STEP,
        *PORT_REUSE,
        *FORKS_AND_NAT,
        *REORDERING,
        *DOUBLED,
        *PHANTOM,
        *OVERRUN,
        *NESTED_AND_RESTART,
    ],
)
def test_failure(arrivals: list[Arrival], lines: list[str], spans: list[str]) -> None:
    """After a failure everything is released with its reason, and the spans have the attributes for it."""
    released = all_released(*arrivals)

    assert as_lines(released) == lines
    assert spans_of(released) == spans


FLOOD = [
    pytest.param(
        [tried(f"{number}", number, number + 1, Api=f"{number}") for number in range(4)],
        ["orphan 0 evicted", "orphan 1 evicted", "orphan 2 flushed", "orphan 3 flushed"],
        id="flood-of-attempts",
    ),
    pytest.param(
        [called(number, number + 9, RUBY, Api=f"{number}") for number in range(3)],
        ["call@0 [] missing 1 evicted", "call@1 [] missing 1 expired", "call@2 [] missing 1 expired"],
        id="flood-of-calls",
    ),
    pytest.param(
        [called(0, 9, RUBY), tried("x", 8, 10, Api="1"), tried("y", 9, 11, Api="2"), tried("a", 2, 7, RUBY, at=12)],
        ["call@0 [] missing 1 evicted", "orphan x evicted", "orphan y flushed", "orphan a flushed"],
        id="flood-evicts-the-oldest-of-both-kinds",
    ),
    pytest.param(
        [tried("a", 2, 9), called(0, 10), tried("x", 10, 11, Api="1"), tried("b", 12, 19), called(11, 20)],
        ["call@0 [a]", "call@11 [b]", "orphan x flushed"],
        id="flood-evicts-no-call-that-is-complete",
    ),
]


@pytest.mark.parametrize(("arrivals", "lines"), FLOOD)
def test_flood(arrivals: list[Arrival], lines: list[str]) -> None:
    """With more than two pending events the oldest is released early, with its reason."""
    assert as_lines(all_released(*arrivals, limits=CorrelatorLimits(pending_events=2))) == lines
