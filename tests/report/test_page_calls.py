"""The calls of the page: rows, and columns for its script."""

from __future__ import annotations

from traced import T0, attempt_of, called, traced

from csm_otel.report.page_calls import cell_of, columns_of_calls, listed_calls, row_of
from csm_otel.summary.trace import Call

FIRST = called("S3.GetObject", 10, 20)
FAILED = called("S3.PutObject", 5, 6, status=500, error="InternalError")


def retried() -> Call:
    """Return a call with two attempts and a pause between them."""
    call = traced(
        "DynamoDB.PutItem", 100, 400, status=200, attributes={"cloud.region": "eu-west-1", "aws.request_id": "B"}
    )
    first = attempt_of(call, 100, 200, status=400, error="ThrottlingException")
    return Call(span=call, attempts=(first, attempt_of(call, 250, 400)))


def test_columns() -> None:
    """Each call has a place in each column, and so has each attempt of those that were retried."""
    calls = [FIRST, retried(), FAILED]
    columns = columns_of_calls(calls, calls, T0)
    assert columns == {
        "texts": [
            "", "S3.PutObject", "500 InternalError", "S3.GetObject", "200", "DynamoDB.PutItem", "eu-west-1", "B",
            "400 ThrottlingException",
        ],
        "calls": {
            "start": [5_000, 5_000, 90_000],
            "length": [1_000, 10_000, 300_000],
            "name": [1, 3, 5],
            "result": [2, 4, 4],
            "message": [0, 0, 0],
            "region": [0, 0, 6],
            "request": [0, 0, 7],
            "failed": [1, 0, 0],
            "tries": [1, 1, 2],
            "attempts": [0, 0, 2],
        },
        "attempts": {
            "start": [0, 150_000],
            "length": [100_000, 150_000],
            "result": [8, 4],
            "failed": [1, 0],
            "pause": [50_000, 0],
        },
    }  # fmt: skip


def test_details_are_of_listed_calls() -> None:
    """Texts that may all differ are those of the calls in the table."""
    failed = Call(
        span=traced("S3.GetObject", 0, 1, error="E", message="no", attributes={"aws.request_id": "A"}), attempts=()
    )
    columns = columns_of_calls([failed, retried()], [failed], T0)
    calls = columns["calls"]
    assert isinstance(calls, dict)
    texts = columns["texts"]
    assert isinstance(texts, list)
    assert [[texts[place] for place in calls[name]] for name in ("message", "request")] == [["no", ""], ["A", ""]]


def test_attempts_are_bounded() -> None:
    """Of one call's attempts at most 20 are drawn."""
    call = traced("S3.GetObject", 0, 100)
    many = Call(span=call, attempts=tuple(attempt_of(call, at, at + 1) for at in range(30)))
    columns = columns_of_calls([many], [], T0)
    assert isinstance(columns["calls"], dict)
    assert isinstance(columns["attempts"], dict)
    assert (columns["calls"]["tries"], columns["calls"]["attempts"]) == ([30], [20])
    assert len(columns["attempts"]["start"]) == 20


def test_listed() -> None:
    """Rows are in order of start, with those that failed first where there is no room for all."""
    assert listed_calls([FIRST, FAILED]) == [FAILED, FIRST]
    many = [called("S3.GetObject", at, at + 1) for at in range(5_000)]
    late = called("S3.PutObject", 9_000, 9_001, error="E")
    assert listed_calls([*many, late]) == [*many[:-1], late]


def test_row() -> None:
    """A row has its times as text and as numbers."""
    assert row_of(FAILED, T0) == (
        "+5 ms", 5_000, "S3.PutObject", "1 ms", 1_000, 1, "500 InternalError", True, "",
    )  # fmt: skip


def test_a_call_without_a_request() -> None:
    """Its result is that there was none."""
    span = traced("S3.GetObject", 0, 1, error="NoCredentials", attributes={"csm.outcome": "not_sent"})
    assert row_of(Call(span=span, attempts=()), T0).result == "no request sent"


def test_a_failure_without_a_name() -> None:
    """It has failed, in words of its own, as in every report."""
    span = traced("S3.GetObject", 0, 1, status=500, error="_OTHER")
    assert row_of(Call(span=span, attempts=()), T0).result == "500 failed"


def test_cell() -> None:
    """A status that is the error too is shown once, and a code of any length is cut."""
    assert [cell_of(404, "404"), cell_of(200, ""), cell_of(500, "E" * 1000)] == ["404", "200", f"500 {'E' * 59}…"]
