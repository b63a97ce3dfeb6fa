"""Traces for the tests of the waterfall, with times in milliseconds from `T0`."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from flat import flat_span

from csm_otel.spans.data import AttributeValue, Resource, SpanData, SpanKind, SpanRole, TraceContext

if TYPE_CHECKING:
    from collections.abc import Iterable

MS = 1_000_000
T0 = 1_700_000_000_000 * MS
TRACE_ID = 0x4BF92F3577B34DA6A3CE929D0E0E4736
RESOURCE = Resource((("service.name", "legacy-etl"),))
_span_ids = count(1)

Attempt = tuple[int, int, int | None, str, str]
"""Start and end in ms, HTTP status, error type, message."""


def one_span(
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


def command_span(end_ms: int = 1000, code: int = 0, name: str = "legacy.py") -> SpanData:
    """Return the span of a command."""
    resource = Resource((("service.name", name),))
    return one_span(name, 0, end_ms, role=SpanRole.COMMAND, process__exit__code=code, resource=resource)


def calling(
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
    call = one_span(name, *times, parent=root.context if root else None, **fields)  # type: ignore[arg-type]
    spans = [call]
    for number, (start_ms, end_ms, status_, error_, message_) in enumerate(attempts, 1):
        numbered: dict[str, AttributeValue] = {} if missing or ambiguous else {"csm__attempt__number": number}
        spans.append(
            one_span(
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


def ok(start_ms: int, end_ms: int, status: int = 200) -> Attempt:
    """Return an attempt that went well."""
    return start_ms, end_ms, status, "", ""


SLOW_DOWN = (503, "SlowDown", "Please reduce your request rate.")
DENIED = (
    "User: arn:aws:iam::123456789012:user/etl is not authorized to perform: dynamodb:PutItem on resource: table/jobs"
)


def demo() -> list[SpanData]:
    """Return the spans of a realistic job: retries, failures, threads, losses."""
    root = command_span(3421, code=1, name="legacy_backup.py")
    put = [(291, 303, *SLOW_DOWN), (612, 625, *SLOW_DOWN), ok(1105, 1203)]
    denied = (1211, 1222, 400, "AccessDeniedException", DENIED)
    return [
        *calling(root, "STS.GetCallerIdentity", (212, 231), [ok(213, 231)]),
        *calling(root, "S3.ListBuckets", (238, 249), [ok(239, 249)]),
        *calling(root, "S3.PutObject", (290, 1203), put),
        *calling(root, "S3.GetObject", (293, 471), [ok(294, 471)], ambiguous=True),
        *calling(root, "S3.GetObject", (292, 360), [ok(293, 360)], ambiguous=True),
        *calling(root, "DynamoDB.PutItem", (1210, 1222), [denied]),
        *calling(root, "S3.HeadObject", (1230, 1238), [(1231, 1238, 404, "404", "Not Found")]),
        *calling(root, "SQS.ReceiveMessage", (1330, 3390), [ok(1331, 3390)]),
        *calling(root, "EC2.DescribeInstances", (3392, 3392), [], csm__outcome="not_sent"),
        *calling(root, "SNS.Publish", (3395, 3410), [], missing=1, status=200),
        one_span(
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


DENIED_ATTEMPT = (403, "AccessDenied", "Access Denied")


def many_calls(root: SpanData, total: int, failed: Iterable[int] = ()) -> list[SpanData]:
    """Return this many calls of 1 ms one after the other, some of which failed."""
    failures = set(failed)
    spans: list[SpanData] = []
    for number in range(total):
        attempt = (number, number + 1, *DENIED_ATTEMPT) if number in failures else ok(number, number + 1)
        spans += calling(root, "S3.GetObject", (number, number + 1), [attempt])
    return spans
