"""The waterfall: exact text of small traces, a whole one, and properties for any span data."""

from __future__ import annotations

import re
from itertools import count
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from flat import flat_span
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.report.terminal import columns_of
from csm_otel.report.waterfall import TraceBuffer, render_waterfall
from csm_otel.spans.data import AttributeValue, Resource, SpanData, SpanKind, SpanRole, TraceContext

if TYPE_CHECKING:
    from collections.abc import Iterable

MS = 1_000_000
T0 = 1_700_000_000_000 * MS
TRACE_ID = 0x4BF92F3577B34DA6A3CE929D0E0E4736
RESOURCE = Resource((("service.name", "legacy-etl"),))
_SGR = re.compile(r"\x1b\[[0-9;]*m")
_span_ids = count(1)

Attempt = tuple[int, int, int | None, str, str]
"""Start and end in ms, HTTP status, error type, message."""


def _span(
    name: str,
    start_ms: int,
    end_ms: int,
    *,
    role: SpanRole = SpanRole.CALL,
    parent: TraceContext | None = None,
    status: int | None = None,
    error: str = "",
    message: str = "",
    trace_id: int = TRACE_ID,
    resource: Resource = RESOURCE,
    **attributes: AttributeValue,
) -> SpanData:
    """Return a span; times in ms from T0, `a__b` in a keyword for `a.b` in an attribute's name."""
    known: dict[str, AttributeValue | None] = {
        "http.response.status_code": status,
        "error.type": error or None,
        **{key.replace("__", "."): value for key, value in attributes.items()},
    }
    return flat_span(
        role=role,
        name=name,
        kind=SpanKind.CLIENT,
        context=TraceContext(trace_id=parent.trace_id if parent else trace_id, span_id=next(_span_ids)),
        parent=parent,
        start_ns=T0 + start_ms * MS,
        end_ns=T0 + end_ms * MS,
        attributes={key: value for key, value in known.items() if value is not None},
        is_error=bool(error),
        status_message=message,
        resource=resource,
    )


def _command(end_ms: int = 1000, code: int = 0, name: str = "legacy.py") -> SpanData:
    resource = Resource((("service.name", name),))
    return _span(name, 0, end_ms, role=SpanRole.COMMAND, process__exit__code=code, resource=resource)


def _call(
    root: SpanData | None,
    name: str,
    times: tuple[int, int],
    attempts: list[Attempt],
    *,
    missing: int = 0,
    ambiguous: bool = False,
    **options: AttributeValue,
) -> list[SpanData]:
    """Return a call with its attempts as the mapping makes them; its result is that of its last attempt."""
    *_, (_, _, status, error, message) = attempts or [(0, 0, None, "", "")]
    extra: dict[str, AttributeValue] = {
        "csm__attempt_count": len(attempts) + missing,
        "rpc__method": name.split(".")[1],
    }
    if missing:
        extra["csm__attempts_missing"] = missing
    if ambiguous:
        extra["csm__correlation"] = "ambiguous"
    fields = {"status": status, "error": error, "message": message, **extra, **options}
    call = _span(name, *times, parent=root.context if root else None, **fields)  # type: ignore[arg-type]
    spans = [call]
    for number, (start_ms, end_ms, status_, error_, message_) in enumerate(attempts, 1):
        numbered: dict[str, AttributeValue] = {} if missing or ambiguous else {"csm__attempt__number": number}
        spans.append(
            _span(
                f"{name} attempt",
                start_ms,
                end_ms,
                role=SpanRole.ATTEMPT,
                parent=call.context,
                status=status_,
                error=error_,
                message=message_,
                **numbered,  # type: ignore[arg-type]
            )
        )
    return spans


def _ok(start_ms: int, end_ms: int, status: int = 200) -> Attempt:
    return start_ms, end_ms, status, "", ""


SLOW_DOWN = (503, "SlowDown", "Please reduce your request rate.")
DENIED = (
    "User: arn:aws:iam::123456789012:user/etl is not authorized to perform: dynamodb:PutItem on resource: table/jobs"
)


def _demo() -> list[SpanData]:
    """Return the spans of a realistic job: retries, failures, threads, losses."""
    root = _command(3421, code=1, name="legacy_backup.py")
    put = [(291, 303, *SLOW_DOWN), (612, 625, *SLOW_DOWN), _ok(1105, 1203)]
    denied = (1211, 1222, 400, "AccessDeniedException", DENIED)
    return [
        *_call(root, "STS.GetCallerIdentity", (212, 231), [_ok(213, 231)]),
        *_call(root, "S3.ListBuckets", (238, 249), [_ok(239, 249)]),
        *_call(root, "S3.PutObject", (290, 1203), put),
        *_call(root, "S3.GetObject", (293, 471), [_ok(294, 471)], ambiguous=True),
        *_call(root, "S3.GetObject", (292, 360), [_ok(293, 360)], ambiguous=True),
        *_call(root, "DynamoDB.PutItem", (1210, 1222), [denied]),
        *_call(root, "S3.HeadObject", (1230, 1238), [(1231, 1238, 404, "404", "Not Found")]),
        *_call(root, "SQS.ReceiveMessage", (1330, 3390), [_ok(1331, 3390)]),
        *_call(root, "EC2.DescribeInstances", (3392, 3392), [], csm__outcome="not_sent"),
        *_call(root, "SNS.Publish", (3395, 3410), [], missing=1, status=200),
        _span(
            "S3.DeleteObject attempt",
            3400,
            3415,
            role=SpanRole.ORPHAN,
            parent=root.context,
            status=204,
            csm__orphan=True,
            rpc__method="DeleteObject",
        ),
        root,
    ]


DEMO = """\
legacy_backup.py  3.42 s  exit 1  trace 4bf92f3577b34da6a3ce929d0e0e4736
  +212 ms  STS.GetCallerIdentity     ▐                              19 ms  200
  +238 ms  S3.ListBuckets             ▌                             11 ms  200
  +290 ms  S3.PutObject               █··▌···█▌                    913 ms  200, 3 attempts
           ├ attempt 1                █                             12 ms  503 SlowDown: Please red…
           │                          ····                         309 ms  back-off
           ├ attempt 2                   ▌                          13 ms  503 SlowDown: Please red…
           │                             ·····                     480 ms  back-off
           └ attempt 3                       █▌                     98 ms  200
  +292 ms  S3.GetObject ~             █▌                            68 ms  200
  +293 ms  S3.GetObject ~             ██                           178 ms  200
✗ +1.21 s  DynamoDB.PutItem                   ▌                     12 ms  400 AccessDeniedException
           │ User: arn:aws:iam::123456789012:user/etl is not authorized to perform: dynamodb:PutIte…
           └ attempt 1                        ▌                     11 ms  400 AccessDeniedException
✗ +1.23 s  S3.HeadObject                      ▌                      8 ms  404
           │ Not Found
           └ attempt 1                        ▌                      7 ms  404
  +1.33 s  SQS.ReceiveMessage                  ██████████████████  2.06 s  200
! +3.39 s  EC2.DescribeInstances                                ▐    0 ms  NO REQUEST SENT
  +3.40 s  SNS.Publish                                          ▐   15 ms  200
           └ 1 attempt not seen
  +3.40 s  S3.DeleteObject attempt                              ▐   15 ms  204, call not seen
~ ran at the same time as calls just like it: which attempts were whose is not certain
10 calls, 2 failed, 1 retried, 1 throttled, 1 with NO REQUEST SENT, 1 attempt not seen, 1 attempt
without its call; 3.04 s of 3.42 s in AWS calls; 789 ms in back-off
"""


def test_a_whole_trace() -> None:
    """A realistic job has the intended text, in any order of its spans."""
    spans = _demo()
    assert render_waterfall(spans, width=100, color=False) == DEMO
    assert render_waterfall(spans[::-1], width=100, color=False) == DEMO


def test_color_changes_nothing_but_the_color() -> None:
    """Failures are red, retries yellow, pauses dim; without its SGR sequences the text is the same."""
    text = render_waterfall(_demo(), width=100, color=True)
    assert _SGR.sub("", text) == DEMO
    assert "\x1b[1;31mexit 1\x1b[0m" in text
    assert "\x1b[31mDynamoDB.PutItem\x1b[0m" in text
    assert "\x1b[33mS3.PutObject\x1b[0m" in text
    assert "\x1b[2mback-off\x1b[0m" in text
    assert "\x1b[1;31mNO REQUEST SENT\x1b[0m" in text
    assert "  +238 ms  S3.ListBuckets " in text


def _retried() -> list[SpanData]:
    root = _command()
    return [root, *_call(root, "S3.PutObject", (100, 900), [(100, 200, *SLOW_DOWN), _ok(600, 900)])]


def _all_failed() -> list[SpanData]:
    root = _command(code=3)
    timed_out = (None, "ConnectTimeoutError", "timed out")
    return [root, *_call(root, "SQS.SendMessage", (100, 500), [(100, 200, *timed_out), (400, 500, *timed_out)])]


def _missing() -> list[SpanData]:
    root = _command()
    return [root, *_call(root, "S3.PutObject", (100, 900), [(100, 200, *SLOW_DOWN), _ok(600, 900)], missing=1)]


def _ambiguous_retry() -> list[SpanData]:
    root = _command()
    return [root, *_call(root, "S3.PutObject", (100, 900), [(100, 200, *SLOW_DOWN), _ok(600, 900)], ambiguous=True)]


def _retried_at_once() -> list[SpanData]:
    root = _command()
    return [root, *_call(root, "S3.ListObjects", (100, 500), [(100, 300, 301, "", ""), _ok(302, 500)])]


def _threads() -> list[SpanData]:
    root = _command()
    first = _call(root, "S3.PutObject", (100, 700), [(100, 200, *SLOW_DOWN), _ok(500, 700)])
    second = _call(root, "S3.PutObject", (200, 800), [(200, 300, *SLOW_DOWN), _ok(600, 800)])
    return [root, *second, *first]


def _unnamed() -> list[SpanData]:
    root = _command()
    call = _call(root, "S3.GetObject", (100, 200), [(100, 200, None, "_OTHER", "")])
    streaming = _call(root, "Kinesis.SubscribeToShard", (300, 400), [(300, 400, None, "", "")])
    return [root, *call, *streaming]


def _outside() -> list[SpanData]:
    root = _command()
    early = _call(root, "S3.GetObject", (-500, -400), [_ok(-500, -400)])
    late = _call(root, "S3.PutObject", (900, 5000), [_ok(900, 5000)])
    after = _call(root, "S3.CopyObject", (2000, 3000), [_ok(2000, 3000)])
    return [root, *early, *late, *after]


def _second_process() -> list[SpanData]:
    root = _command()
    child = _span("child.sh", 100, 300, role=SpanRole.COMMAND, parent=root.context, error="2", process__exit__code=2)
    return [root, child, *_call(child, "S3.GetObject", (200, 250), [_ok(200, 250)])]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        pytest.param(
            [_command(code=2)],
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
        _span("S3.GetObject", 210, 260, parent=remote, status=200, rpc__method="GetObject"),
        _span("S3.ListBuckets", 100, 200, parent=remote, status=200, rpc__method="ListBuckets"),
    ]
    unknown = Resource((("service.name", "unknown_service"),))
    alone = _span("SQS.SendMessage", 50, 60, trace_id=0xB, status=200, resource=unknown, rpc__method="SendMessage")
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
    root = _span("deploy.sh", 0, 1000, role=SpanRole.COMMAND, process__exit__code=0, resource=deploy)
    (header, _) = render_waterfall([root], width=100, color=False).splitlines()
    assert header == f"deploy: deploy.sh  1.00 s  exit 0  trace {TRACE_ID:032x}"


DENIED_ATTEMPT = (403, "AccessDenied", "Access Denied")


def _many(root: SpanData, total: int, failed: Iterable[int] = ()) -> list[SpanData]:
    """Return this many calls of 1 ms one after the other, some of which failed."""
    failures = set(failed)
    spans: list[SpanData] = []
    for number in range(total):
        attempt = (number, number + 1, *DENIED_ATTEMPT) if number in failures else _ok(number, number + 1)
        spans += _call(root, "S3.GetObject", (number, number + 1), [attempt])
    return spans


def _words(text: str) -> list[str]:
    """Return the lines without their columns and bars."""
    return [" ".join(word for word in line.split() if word.strip("#")) for line in text.splitlines()]


def test_a_late_failure_is_shown() -> None:
    """Of 20,000 calls the last failed: it is shown with its error, the others are one line."""
    root = _command(30_000, code=1)
    text = render_waterfall([root, *_many(root, 20_000, [19_999])], width=100, color=False, ascii_only=True)
    assert _words(text)[1:] == [
        "+0 ms S3.GetObject x19,999 20.00 s p50 1 ms, max 1 ms",
        "x +20.00 s S3.GetObject 1 ms 403 AccessDenied",
        "| Access Denied",
        "`- attempt 1 1 ms 403 AccessDenied",
        "20,000 calls, 1 failed; 20.00 s of 30.00 s in AWS calls",
    ]


def test_a_long_trace() -> None:
    """What failed or was not sent and what was slow stand where they were, with the runs between them."""
    root = _command(2000, code=1)
    spans = [
        root,
        *_many(root, 60),
        *_call(root, "EC2.DescribeInstances", (60, 60), [], csm__outcome="not_sent"),
        *_call(root, "S3.PutObject", (100, 900), [(100, 200, *SLOW_DOWN), _ok(600, 900)]),
        *(span for at in (910, 920, 930) for span in _call(root, "SQS.SendMessage", (at, at + 2), [_ok(at, at + 2)])),
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
    text = render_waterfall(_many(_command(), 41), width=100, color=True)
    assert "\x1b[2mS3.GetObject x41\x1b[0m" in text


def test_everything_is_shown_on_request() -> None:
    """Without a bound each call has its line, and what is below it."""
    spans = _many(_command(), 1500, range(500, 600))
    text = render_waterfall(spans, width=100, color=False, everything=True)
    assert len(text.splitlines()) == 1 + 1500 + 2 * 100 + 1


@pytest.mark.parametrize(
    ("everything", "shown"), [pytest.param(False, 10, id="a-screen"), pytest.param(True, 90, id="all")]
)
def test_only_what_failed(*, everything: bool, shown: int) -> None:
    """What went well is a number, and what failed is collapsed as far as needed."""
    root = _command()
    spans = [root, *_many(root, 500, range(0, 450, 5))]
    text = render_waterfall(spans, width=100, color=False, only_failed=True, max_lines=30, everything=everything)
    assert len(re.findall(r"^✗", text, re.MULTILINE)) == shown
    assert ("x80 " in text) is not everything
    assert text.endswith(
        "\n... and 410 more calls, none of them failed\n500 calls, 90 failed; 500 ms of 1.00 s in AWS calls\n"
    )


def test_failures_are_bounded() -> None:
    """A script that fails without end does not fill the screen either: both ends are shown, the rest is counted."""
    root = _command(3000)
    lines = _words(render_waterfall([root, *_many(root, 1500, range(1500))], width=100, color=False))
    assert len(lines) == 1 + 40 + 1
    assert lines[1].endswith("S3.GetObject ▌ 1 ms 403 AccessDenied")


def _single(number: int, failed_from: int) -> SpanData:
    """Return a call that is a trace of its own."""
    has_failed = number >= failed_from
    result = (404, "404") if has_failed else (200, "")
    return _span("S3.HeadObject", number, number + 1, trace_id=number, status=result[0], error=result[1])


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
    root = _command(10_000)
    spans = [root, *_call(root, "S3.GetObject", (0, 9_990), [(n * 10, n * 10 + 5, *SLOW_DOWN) for n in range(999)])]
    lines = render_waterfall(spans, width=100, color=False).splitlines()
    # The header, the call, its message, 20 attempts with a pause after each, the rest, the sum.
    assert len(lines) == 3 + 40 + 2
    assert lines[-2].endswith("└ ... and 979 more attempts")


def test_nothing_to_show_is_empty() -> None:
    """Without spans there is no text, not an empty waterfall."""
    assert not render_waterfall([], width=100, color=False)
    assert not TraceBuffer().render(width=100, color=False)


def test_the_buffer_keeps_the_first_spans_and_the_command() -> None:
    """Spans that do not fit are counted and reported; the command, which arrives last, still heads the trace."""
    buffer = TraceBuffer(max_spans=2)
    root = _command()
    for number in range(4):
        buffer.add(
            [_span("S3.HeadObject", number, number + 1, parent=root.context, status=200, rpc__method="HeadObject")]
        )
    buffer.add([root])
    lines = buffer.render(width=100, color=False).splitlines()
    assert lines[0].startswith("legacy.py  1.00 s  exit 0")
    assert lines[-2:] == [
        "2 calls, 0 failed; 2 ms of 1.00 s in AWS calls",
        "not in this view or its sums: 2 more calls, none of them failed",
    ]


def test_a_full_buffer_keeps_late_failures() -> None:
    """A failure after 30,000 spans is shown with its attempts, whatever the batches; what is left out is counted."""
    root = _command(100_000, code=1)
    spans = _many(root, 15_000)
    late = _call(root, "S3.PutObject", (90_000, 90_900), [(90_000, 90_100, *SLOW_DOWN), (90_800, 90_900, *SLOW_DOWN)])
    orphan = _span("S3.PutObject attempt", 95_000, 95_001, role=SpanRole.ORPHAN, parent=root.context, status=200)
    buffer = TraceBuffer()
    for span in [*spans, *late, orphan, root]:
        buffer.add([span])
    lines = buffer.render(width=125, color=False).splitlines()
    assert lines[1].split()[:5] == ["+0", "ms", "S3.GetObject", "x10,000", "█████▌"]
    assert [line.split()[:3] for line in lines[2:-2]] == [
        ["✗", "+1", "min"],
        ["│", "Please", "reduce"],
        ["├", "attempt", "1"],
        ["│", "··", "700"],
        ["└", "attempt", "2"],
    ]
    assert lines[-2].startswith("10,001 calls, 1 failed, 1 retried, 1 throttled; 10.90 s of 1 min 40 s in AWS calls; ")
    assert lines[-1] == (
        "not in this view or its sums: 5,000 more calls, none of them failed; "
        "1 more attempt without its call, which did not fail"
    )


def test_late_failures_in_the_buffer_are_bounded() -> None:
    """The latest failures stay, with their attempts, and the others are counted; one of many attempts fits no less."""
    root = _command(1000)
    buffer = TraceBuffer(max_spans=4, max_later_spans=5)
    buffer.add(_many(root, 9, [1, 3, 5, 6, 8]))
    buffer.add([root])
    text = buffer.render(width=100, color=False)
    assert re.findall(r"^(.) +(\+\S+ ms)  S3.GetObject", text, re.MULTILINE) == [
        (" ", "+0 ms"),
        ("✗", "+1 ms"),
        ("✗", "+6 ms"),
        ("✗", "+8 ms"),
    ]
    assert text.endswith("\nnot in this view or its sums: 5 more calls, 2 of them failed\n")
    assert text.count("attempt 1") == 3

    buffer.add(_call(root, "S3.PutObject", (500, 999), [(n, n + 1, *SLOW_DOWN) for n in range(500, 999)]))
    text = buffer.render(width=100, color=False)
    assert "S3.PutObject" in text
    assert "499 attempts" in text
    assert text.count("attempt ") == 1 + 4
    assert text.endswith("\nnot in this view or its sums: 7 more calls, 4 of them failed\n")


def test_an_attempt_that_no_call_precedes_is_counted() -> None:
    """A full buffer counts an attempt as one where its call is not the latest."""
    buffer = TraceBuffer(max_spans=1)
    (call, attempt), other = _call(None, "S3.GetObject", (0, 1), [_ok(0, 1)]), _many(_command(), 1)
    buffer.add([call, attempt, *other, attempt])
    assert buffer.render(width=130, color=False).splitlines()[-1] == (
        "not in this view or its sums: 1 more call, which did not fail; "
        "1 more attempt without its call, which did not fail"
    )


def test_a_full_buffer_that_left_nothing_out_says_nothing() -> None:
    """The waterfall of a buffer with room is that of its spans."""
    buffer = TraceBuffer()
    spans = _demo()
    buffer.add(spans[:5])
    buffer.add(spans[5:])
    assert buffer.render(width=100, color=False) == DEMO


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
    root = _command(name=draw(_texts))
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
        spans += _call(root, name, (0, 1000), attempts, missing=draw(st.integers(0, 1)), ambiguous=draw(st.booleans()))
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
    root = _command()
    spans = [root]
    for number, (name, has_failed) in enumerate(kinds):
        attempt = (number, number + 1, *DENIED_ATTEMPT) if has_failed else _ok(number, number + 1)
        spans += _call(root, name, (number, number + 1), [attempt])
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
