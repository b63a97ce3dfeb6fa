"""The waterfall: exact text of small traces, a whole one, and properties for any span data."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest
from flat import flat_span
from hypothesis import given
from hypothesis import strategies as st
from report.waterfalls import (
    DEMO,
    DENIED_ATTEMPT,
    MS,
    SLOW_DOWN,
    T0,
    TRACE_ID,
    calling,
    command_span,
    demo,
    many_calls,
    ok,
    one_span,
)

from csm_otel.report.terminal import columns_of
from csm_otel.report.waterfall import render_waterfall
from csm_otel.spans.data import AttributeValue, Resource, SpanData, SpanKind, SpanRole, TraceContext

_SGR = re.compile(r"\x1b\[[0-9;]*m")


def test_a_whole_trace() -> None:
    """A realistic job has the intended text, in any order of its spans."""
    spans = demo()
    assert render_waterfall(spans, width=100, color=False) == DEMO
    assert render_waterfall(spans[::-1], width=100, color=False) == DEMO


def test_color_changes_nothing_but_the_color() -> None:
    """Failures are red, retries yellow, pauses dim; without its SGR sequences the text is the same."""
    text = render_waterfall(demo(), width=100, color=True)
    assert _SGR.sub("", text) == DEMO
    assert "\x1b[1;31mexit 1\x1b[0m" in text
    assert "\x1b[31mDynamoDB.PutItem\x1b[0m" in text
    assert "\x1b[33mS3.PutObject\x1b[0m" in text
    assert "\x1b[2mback-off\x1b[0m" in text
    assert "\x1b[1;31mNO REQUEST SENT\x1b[0m" in text
    assert "  +238 ms  S3.ListBuckets " in text


def _retried() -> list[SpanData]:
    root = command_span()
    return [root, *calling(root, "S3.PutObject", (100, 900), [(100, 200, *SLOW_DOWN), ok(600, 900)])]


def _all_failed() -> list[SpanData]:
    root = command_span(code=3)
    timed_out = (None, "ConnectTimeoutError", "timed out")
    return [root, *calling(root, "SQS.SendMessage", (100, 500), [(100, 200, *timed_out), (400, 500, *timed_out)])]


def _missing() -> list[SpanData]:
    root = command_span()
    return [root, *calling(root, "S3.PutObject", (100, 900), [(100, 200, *SLOW_DOWN), ok(600, 900)], missing=1)]


def _ambiguous_retry() -> list[SpanData]:
    root = command_span()
    return [
        root,
        *calling(root, "S3.PutObject", (100, 900), [(100, 200, *SLOW_DOWN), ok(600, 900)], ambiguous=True),
    ]


def _retried_at_once() -> list[SpanData]:
    root = command_span()
    return [root, *calling(root, "S3.ListObjects", (100, 500), [(100, 300, 301, "", ""), ok(302, 500)])]


def _threads() -> list[SpanData]:
    root = command_span()
    first = calling(root, "S3.PutObject", (100, 700), [(100, 200, *SLOW_DOWN), ok(500, 700)])
    second = calling(root, "S3.PutObject", (200, 800), [(200, 300, *SLOW_DOWN), ok(600, 800)])
    return [root, *second, *first]


def _unnamed() -> list[SpanData]:
    root = command_span()
    call = calling(root, "S3.GetObject", (100, 200), [(100, 200, None, "_OTHER", "")])
    streaming = calling(root, "Kinesis.SubscribeToShard", (300, 400), [(300, 400, None, "", "")])
    return [root, *call, *streaming]


def _outside() -> list[SpanData]:
    root = command_span()
    early = calling(root, "S3.GetObject", (-500, -400), [ok(-500, -400)])
    late = calling(root, "S3.PutObject", (900, 5000), [ok(900, 5000)])
    after = calling(root, "S3.CopyObject", (2000, 3000), [ok(2000, 3000)])
    return [root, *early, *late, *after]


def _second_process() -> list[SpanData]:
    root = command_span()
    child = one_span("child.sh", 100, 300, role=SpanRole.COMMAND, parent=root.context, error="2", process__exit__code=2)
    return [root, child, *calling(child, "S3.GetObject", (200, 250), [ok(200, 250)])]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        pytest.param(
            [command_span(code=2)],
            """\
            legacy.py  1.00 s  exit 2  trace 4bf92f3577b34da6a3ce929d0e0e4736
            no AWS calls seen
            """,
            id="no calls",
        ),
        pytest.param(
            _retried(),
            """\
            legacy.py  1.00 s  exit 0  trace 4bf92f3577b34da6a3ce929d0e0e4736
              +100 ms  S3.PutObject     ###............#########     800 ms  200, 2 attempts
                       |- attempt 1     ###                          100 ms  503 SlowDown...
                       |                   ............              400 ms  back-off
                       `- attempt 2                    #########     300 ms  200
            1 call, 0 failed, 1 retried, 1 throttled; 800 ms of 1.00 s in AWS calls; 400 ms
            in back-off
            """,
            id="retried, then served",
        ),
        pytest.param(
            _all_failed(),
            """\
            legacy.py  1.00 s  exit 3  trace 4bf92f3577b34da6a3ce929d0e0e4736
            x +100 ms  SQS.SendMessage   ##.##        400 ms  ConnectTimeoutError, 2 atte...
                       | timed out
                       |- attempt 1      ##           100 ms  ConnectTimeoutError
                       |                  ...         200 ms  back-off
                       `- attempt 2         ##        100 ms  ConnectTimeoutError
            1 call, 1 failed, 1 retried; 400 ms of 1.00 s in AWS calls; 200 ms in back-off
            """,
            id="retried in vain",
        ),
        pytest.param(
            _missing(),
            """\
            legacy.py  1.00 s  exit 0  trace 4bf92f3577b34da6a3ce929d0e0e4736
              +100 ms  S3.PutObject     ########################     800 ms  200, 3 attempts
                       |- attempt       ###                          100 ms  503 SlowDown...
                       |- attempt                      #########     300 ms  200
                       `- 1 attempt not seen
            1 call, 0 failed, 1 retried, 1 throttled, 1 attempt not seen; 800 ms of 1.00 s
            in AWS calls
            """,
            id="an attempt is missing: no number, and no pause is invented",
        ),
        pytest.param(
            _ambiguous_retry(),
            """\
            legacy.py  1.00 s  exit 0  trace 4bf92f3577b34da6a3ce929d0e0e4736
              +100 ms  S3.PutObject ~    ########################    800 ms  200, 2 attempts
                       |- attempt        ####                        100 ms  503 SlowDown...
                       `- attempt                      ##########    300 ms  200
            ~ ran at the same time as calls just like it: which attempts were whose is not
            certain
            1 call, 0 failed, 1 retried, 1 throttled; 800 ms of 1.00 s in AWS calls
            """,
            id="ambiguous",
        ),
        pytest.param(
            _retried_at_once(),
            """\
            legacy.py  1.00 s  exit 0  trace 4bf92f3577b34da6a3ce929d0e0e4736
              +100 ms  S3.ListObjects    ############                400 ms  200, 2 attempts
                       |- attempt 1      #######                     200 ms  301
                       `- attempt 2            ######                198 ms  200
            1 call, 0 failed, 1 retried; 400 ms of 1.00 s in AWS calls
            """,
            id="a pause within the precision of the clocks is no back-off",
        ),
        pytest.param(
            _threads(),
            """\
            legacy.py  1.00 s  exit 0  trace 4bf92f3577b34da6a3ce929d0e0e4736
              +100 ms  S3.PutObject     ###.........######           600 ms  200, 2 attempts
                       |- attempt 1     ###                          100 ms  503 SlowDown...
                       |                   .........                 300 ms  back-off
                       `- attempt 2                 ######           200 ms  200
              +200 ms  S3.PutObject        ###.........######        600 ms  200, 2 attempts
                       |- attempt 1        ###                       100 ms  503 SlowDown...
                       |                      .........              300 ms  back-off
                       `- attempt 2                    ######        200 ms  200
            2 calls, 0 failed, 2 retried, 2 throttled; 700 ms of 1.00 s in AWS calls; 400 ms
            in back-off
            """,
            id="parallel calls: time is counted once",
        ),
        pytest.param(
            _unnamed(),
            """\
            legacy.py  1.00 s  exit 0  trace 4bf92f3577b34da6a3ce929d0e0e4736
            x +100 ms  S3.GetObject                ###                     100 ms  failed
                       `- attempt 1                ###                     100 ms  failed
              +300 ms  Kinesis.SubscribeToShard         ###                100 ms  no status
            2 calls, 1 failed; 200 ms of 1.00 s in AWS calls
            """,
            id="unnamed failure, and no status at all",
        ),
        pytest.param(
            _outside(),
            """\
            legacy.py  1.00 s  exit 0  trace 4bf92f3577b34da6a3ce929d0e0e4736
              -500 ms  S3.GetObject   <                                          100 ms  200
              +900 ms  S3.PutObject                                       #####  4.10 s  200
              +2.00 s  S3.CopyObject                                          >  1.00 s  200
            3 calls, 0 failed; 100 ms of 1.00 s in AWS calls
            """,
            id="outside of the command's time",
        ),
        pytest.param(
            _second_process(),
            """\
            legacy.py  1.00 s  exit 0  trace 4bf92f3577b34da6a3ce929d0e0e4736
            x +100 ms  child.sh         #########                             200 ms  exit 2
              +200 ms  S3.GetObject         ###                                50 ms  200
            1 call, 0 failed; 50 ms of 1.00 s in AWS calls
            """,
            id="a second process",
        ),
    ],
)
def test_small_traces(spans: list[SpanData], expected: str) -> None:
    """Each situation has its exact text (80 columns, ASCII)."""
    assert render_waterfall(spans, width=80, color=False, ascii_only=True) == dedent(expected)


def test_traces_come_one_after_the_other() -> None:
    """Each trace has its own waterfall, in order of start; without a process it is called by its first call."""
    remote = TraceContext(trace_id=0xA, span_id=1, is_remote=True)
    below_remote = [
        one_span("S3.GetObject", 210, 260, parent=remote, status=200, rpc__method="GetObject"),
        one_span("S3.ListBuckets", 100, 200, parent=remote, status=200, rpc__method="ListBuckets"),
    ]
    unknown = Resource((("service.name", "unknown_service"),))
    alone = one_span("SQS.SendMessage", 50, 60, trace_id=0xB, status=200, resource=unknown, rpc__method="SendMessage")
    assert render_waterfall([*below_remote, alone], width=80, color=False, ascii_only=True) == dedent(
        """\
        SQS.SendMessage  10 ms  trace 0000000000000000000000000000000b
          +0 ms  SQS.SendMessage  ##########################################  10 ms  200

        legacy-etl: S3.ListBuckets  160 ms  trace 0000000000000000000000000000000a
            +0 ms  S3.ListBuckets  #########################                 100 ms  200
          +110 ms  S3.GetObject                               #############   50 ms  200
        2 calls, 0 failed; 150 ms of 160 ms in AWS calls
        """
    )


def test_the_application_is_named() -> None:
    """If the application has another name than its command, given by ``--name`` or by itself, both are shown."""
    deploy = Resource((("service.name", "deploy"),))
    root = one_span("deploy.sh", 0, 1000, role=SpanRole.COMMAND, process__exit__code=0, resource=deploy)
    (header, _) = render_waterfall([root], width=100, color=False).splitlines()
    assert header == f"deploy: deploy.sh  1.00 s  exit 0  trace {TRACE_ID:032x}"


def _words(text: str) -> list[str]:
    """Return the lines without their columns and bars."""
    return [" ".join(word for word in line.split() if word.strip("#")) for line in text.splitlines()]


def test_a_late_failure_is_shown() -> None:
    """Of 20,000 calls the last failed: it is shown with its error, the others are one line."""
    root = command_span(30_000, code=1)
    text = render_waterfall([root, *many_calls(root, 20_000, [19_999])], width=100, color=False, ascii_only=True)
    assert _words(text)[1:] == [
        "+0 ms S3.GetObject x19,999 20.00 s p50 1 ms, max 1 ms",
        "x +20.00 s S3.GetObject 1 ms 403 AccessDenied",
        "| Access Denied",
        "`- attempt 1 1 ms 403 AccessDenied",
        "20,000 calls, 1 failed; 20.00 s of 30.00 s in AWS calls",
    ]


def test_a_long_trace() -> None:
    """What failed or was not sent and what was slow stand where they were, with the runs between them."""
    root = command_span(2000, code=1)
    spans = [
        root,
        *many_calls(root, 60),
        *calling(root, "EC2.DescribeInstances", (60, 60), [], csm__outcome="not_sent"),
        *calling(root, "S3.PutObject", (100, 900), [(100, 200, *SLOW_DOWN), ok(600, 900)]),
        *(span for at in (910, 920, 930) for span in calling(root, "SQS.SendMessage", (at, at + 2), [ok(at, at + 2)])),
    ]
    assert render_waterfall(spans, width=80, color=False, ascii_only=True) == dedent(
        """\
        legacy.py  2.00 s  exit 1  trace 4bf92f3577b34da6a3ce929d0e0e4736
            +0 ms  S3.GetObject x60       #                    60 ms  p50 1 ms, max 1 ms
        !  +60 ms  EC2.DescribeInstances  #                     0 ms  NO REQUEST SENT
          +100 ms  S3.PutObject           ##...####           800 ms  200, 2 attempts
                   |- attempt 1           ##                  100 ms  503 SlowDown: P...
                   |                       .....              400 ms  back-off
                   `- attempt 2                ####           300 ms  200
          +910 ms  SQS.SendMessage                #             2 ms  200
          +920 ms  SQS.SendMessage                #             2 ms  200
          +930 ms  SQS.SendMessage                #             2 ms  200
        65 calls, 0 failed, 1 retried, 1 throttled, 1 with NO REQUEST SENT; 866 ms of
        2.00 s in AWS calls; 400 ms in back-off
        """
    )


def test_collapsed_lines_are_dim() -> None:
    """What is collapsed is in the background."""
    text = render_waterfall(many_calls(command_span(), 41), width=100, color=True)
    assert "\x1b[2mS3.GetObject x41\x1b[0m" in text


def test_everything_is_shown_on_request() -> None:
    """Without a bound each call has its line, and what is below it."""
    spans = many_calls(command_span(), 1500, range(500, 600))
    text = render_waterfall(spans, width=100, color=False, everything=True)
    assert len(text.splitlines()) == 1 + 1500 + 2 * 100 + 1


@pytest.mark.parametrize(
    ("everything", "shown"), [pytest.param(False, 10, id="a-screen"), pytest.param(True, 90, id="all")]
)
def test_only_what_failed(*, everything: bool, shown: int) -> None:
    """What went well is a number, and what failed is collapsed as far as needed."""
    root = command_span()
    spans = [root, *many_calls(root, 500, range(0, 450, 5))]
    text = render_waterfall(spans, width=100, color=False, only_failed=True, max_lines=30, everything=everything)
    assert len(re.findall(r"^✗", text, re.MULTILINE)) == shown
    assert ("x80 " in text) is not everything
    assert text.endswith(
        "\n... and 410 more calls, none of them failed\n500 calls, 90 failed; 500 ms of 1.00 s in AWS calls\n"
    )


def test_failures_are_bounded() -> None:
    """A script that fails without end does not fill the screen either: both ends are shown, the rest is counted."""
    root = command_span(3000)
    lines = _words(render_waterfall([root, *many_calls(root, 1500, range(1500))], width=100, color=False))
    assert len(lines) == 1 + 40 + 1
    assert lines[1].endswith("S3.GetObject ▌ 1 ms 403 AccessDenied")


def _single(number: int, failed_from: int) -> SpanData:
    """Return a call that is a trace of its own."""
    has_failed = number >= failed_from
    result = (404, "404") if has_failed else (200, "")
    return one_span("S3.HeadObject", number, number + 1, trace_id=number, status=result[0], error=result[1])


def test_only_the_first_traces_are_shown() -> None:
    """The bound is for all traces together, so that a thousand traces are bounded as well."""
    text = render_waterfall([_single(n, 9999) for n in range(1, 1001)], width=100, color=False, max_lines=3)
    assert text.count("trace 0") == 3
    assert text.endswith("\n... and 997 more traces with 997 calls, none of them failed\n")


def test_a_failure_in_a_late_trace_is_shown() -> None:
    """A trace that failed is shown wherever it is among the others; beyond the bound, they are counted."""
    spans = [_single(n, 991) for n in range(1, 1001)]
    text = render_waterfall(spans, width=100, color=False, max_lines=4)
    assert re.findall(r"trace 0+(\w+)", text) == [f"{n:x}" for n in (991, 992, 999, 1000)]
    assert text.endswith("\n... and 996 more traces with 996 calls, 6 of them failed\n")


def test_only_traces_that_failed() -> None:
    """A trace in which nothing failed is not shown then, unless there is no other."""
    spans = [_single(n, 9) for n in range(1, 11)]
    text = render_waterfall(spans, width=100, color=False, only_failed=True)
    assert re.findall(r"trace 0+(\w+)", text) == ["9", "a"]
    assert render_waterfall(spans[:1], width=100, color=False, only_failed=True).splitlines()[1:] == [
        "... and 1 more call, which did not fail"
    ]


def test_attempts_of_one_call_are_bounded() -> None:
    """A sender that claims a thousand attempts does not fill the screen with them."""
    root = command_span(10_000)
    spans = [
        root,
        *calling(root, "S3.GetObject", (0, 9_990), [(n * 10, n * 10 + 5, *SLOW_DOWN) for n in range(999)]),
    ]
    lines = render_waterfall(spans, width=100, color=False).splitlines()
    # The header, the call, its message, 20 attempts with a pause after each, the rest, the sum.
    assert len(lines) == 3 + 40 + 2
    assert lines[-2].endswith("└ ... and 979 more attempts")


def test_nothing_to_show_is_empty() -> None:
    """Without spans there is no text, not an empty waterfall."""
    assert not render_waterfall([], width=100, color=False)


# Of each kind that a terminal treats specially: controls, format characters, marks, wide ones, a lone surrogate.
_LETTERS = (
    "aZ.~ \x00\x07\t\n\r\x1b\x1c\x7f\x85\x9b\xa0\xade\u0301\u200b\u202e\u2028\ufe0f\uff21表가🙂é█\ud800\ue000\U000e0041"
)
_texts = st.text(_LETTERS, max_size=40) | st.sampled_from(
    ["S3.GetObject", "表" * 30, "\x1b[2J\x07", "x" * 300, "_OTHER"]
)
_ids = st.integers(0, 3)
_contexts = st.builds(TraceContext, trace_id=_ids, span_id=_ids)
_values = st.integers(-2, 600) | st.booleans() | _texts | st.floats(allow_nan=True)
_keys = (
    "csm.attempt_count",
    "csm.attempt.number",
    "csm.attempts_missing",
    "csm.correlation",
    "csm.outcome",
    "error.type",
    "http.response.status_code",
    "process.exit.code",
    "rpc.method",
)
_attributes: st.SearchStrategy[dict[str, AttributeValue]] = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(_keys, _values),
        "csm.correlation": st.just("ambiguous") | _values,
        "csm.outcome": st.just("not_sent") | _values,
    },
)


@st.composite
def _any_span(draw: st.DrawFn) -> SpanData:
    start_ns = draw(st.integers(0, 2**63)) if draw(st.booleans()) else T0 + draw(st.integers(0, 5000)) * MS
    return flat_span(
        role=draw(st.sampled_from(SpanRole)),
        name=draw(_texts),
        kind=SpanKind.CLIENT,
        context=draw(_contexts),
        parent=draw(st.none() | _contexts),
        start_ns=start_ns,
        end_ns=start_ns + draw(st.integers(0, 10**13)),
        attributes=draw(_attributes),
        is_error=draw(st.booleans()),
        status_message=draw(_texts),
        resource=Resource((("service.name", draw(_texts)),)),
    )


@st.composite
def _any_trace(draw: st.DrawFn) -> list[SpanData]:
    """Return the spans of one trace, so that every kind of line occurs: random spans are rarely connected."""
    root = command_span(name=draw(_texts))
    attempt = st.tuples(
        st.integers(0, 900),
        st.integers(900, 1000),
        st.none() | st.just(503),
        _texts.map(lambda text: text + "!"),
        _texts,
    )
    spans = [root]
    for _ in range(draw(st.integers(0, 3))):
        attempts = draw(st.lists(attempt, max_size=3))
        name = f"{draw(_texts)}.{draw(_texts)}"
        spans += calling(
            root, name, (0, 1000), attempts, missing=draw(st.integers(0, 1)), ambiguous=draw(st.booleans())
        )
    return spans


@given(
    spans=st.lists(_any_span(), max_size=12) | _any_trace(),
    width=st.integers(-1, 130),
    color=st.booleans(),
    ascii_only=st.booleans(),
    max_lines=st.integers(-1, 12),
    everything=st.booleans(),
    only_failed=st.booleans(),
)
def test_any_span_data_gives_harmless_lines_within_the_width(
    *,
    spans: list[SpanData],
    width: int,
    color: bool,
    ascii_only: bool,
    max_lines: int,
    everything: bool,
    only_failed: bool,
) -> None:
    """For any span data: no exception, no wide line, no control sequence but colour, ASCII on request."""
    text = render_waterfall(
        spans,
        width=width,
        color=color,
        ascii_only=ascii_only,
        max_lines=max_lines,
        everything=everything,
        only_failed=only_failed,
    )
    plain = _SGR.sub("", text) if color else text
    for line in plain.split("\n"):
        assert not line or line.isprintable()
        assert columns_of(line) <= max(width, 1)
    assert text.isascii() or not ascii_only
    assert bool(text) == bool(spans)
    text.encode()


@given(
    kinds=st.lists(
        st.tuples(st.sampled_from(["S3.GetObject", "SQS.SendMessage"]), st.booleans()), min_size=2, max_size=60
    ),
    max_lines=st.integers(1, 40),
)
def test_every_call_is_shown_or_counted(kinds: list[tuple[str, bool]], max_lines: int) -> None:
    """Calls with a line of their own and those that are collapsed add up to all, as do those that failed."""
    root = command_span()
    spans = [root]
    for number, (name, has_failed) in enumerate(kinds):
        attempt = (number, number + 1, *DENIED_ATTEMPT) if has_failed else ok(number, number + 1)
        spans += calling(root, name, (number, number + 1), [attempt])
    lines = render_waterfall(spans, width=130, color=False, max_lines=max_lines).splitlines()[1:-1]

    rows = [line for line in lines if "+" in line]
    collapsed = [int(found[1] or found[2]) for row in rows if (found := re.search(r" x(\d+) | (\d+) calls ", row))]
    assert len(rows) - len(collapsed) + sum(collapsed) == len(kinds)
    hidden = sum(int(found[1]) for row in rows if (found := re.search(r"(\d+) failed", row)))
    shown = sum(row.startswith("✗") for row in rows)
    failed = sum(has_failed for _, has_failed in kinds)
    assert shown + hidden == failed
    assert shown >= min(failed, max(max_lines // 3, 1))
    # A failure has a line on either side of it, its message and an attempt.
    assert len(lines) <= max(max_lines, 2 * max(max_lines // 3, 1) + 3)


@given(spans=st.lists(_any_span(), max_size=12) | _any_trace(), data=st.data())
def test_the_order_of_arrival_does_not_matter(spans: list[SpanData], data: st.DataObject) -> None:
    """Spans with different times give the same text in any order, since UDP and threads give them any."""
    spans = list({(span.start_ns, span.end_ns): span for span in spans}.values())
    shuffled = data.draw(st.permutations(spans))
    assert render_waterfall(shuffled, width=100, color=False) == render_waterfall(spans, width=100, color=False)
