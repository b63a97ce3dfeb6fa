"""Baselines: what is in them, the text of the file, and what came since."""

from __future__ import annotations

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traced import attempt_of, command, traced

from csm_otel.errors import BaselineError
from csm_otel.verdict.baseline import MAX_ENTRIES, Baseline, Entry, read_baseline

DENIED = Entry("S3", "GetObject", "us-east-1", "AccessDenied")
LOGS = Entry("CloudWatch Logs", "CreateLogGroup", "", "")


def test_entries() -> None:
    """Each kind of call is there once; attempts and commands are none."""
    baseline = Baseline()
    for _ in range(2):
        call = traced("S3.GetObject", 0, 5, error="AccessDenied", attributes={"cloud.region": "us-east-1"})
        baseline.add([call, attempt_of(call, 0, 5, error="SlowDown")])
    baseline.add([traced("CloudWatch Logs.CreateLogGroup", 0, 5)])
    baseline.add([command()])

    assert baseline.entries == [LOGS, DENIED]
    assert str(DENIED) == "S3.GetObject us-east-1 AccessDenied"


def test_file() -> None:
    """It has an entry a line, in order, and is read as it was."""
    text = Baseline([DENIED, LOGS]).to_toml()

    assert text.endswith(
        dedent(
            """\
            schema = 1
            calls = [
                ["CloudWatch Logs","CreateLogGroup","",""],
                ["S3","GetObject","us-east-1","AccessDenied"],
            ]
            """
        )
    )
    assert read_baseline(text).entries == [LOGS, DENIED]


def test_difference() -> None:
    """What came is in the later one only; the other way round it went."""
    before, now = Baseline([LOGS]), Baseline([DENIED])

    assert (now.came_since(before), before.came_since(now)) == ([DENIED], [LOGS])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("calls", "Expected '=' after a key in a key/value pair (at end of document)", id="toml"),
        pytest.param("", "Object missing required field `schema`", id="empty"),
        pytest.param(
            f"schema = {'1' * 5000}",
            "Exceeds the limit (4300 digits) for integer string conversion: value has 5000 digits; use "
            "sys.set_int_max_str_digits() to increase the limit",
            id="long-number",
        ),
        pytest.param("schema = 1", "Object missing required field `calls`", id="no-calls"),
        pytest.param(
            'schema = 1\ncalls = [["a"]]',
            "Expected `array` of length 4, got 1 - at `$.calls[0]`",
            id="short",
        ),
        pytest.param("schema = 1\ncalls = []\nmore = 1", "Object contains unknown field `more`", id="unknown"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    """What is no baseline is named in one line."""
    with pytest.raises(BaselineError) as raised:
        read_baseline(text)
    assert str(raised.value) == f"no baseline: {reason}"


def test_another_schema() -> None:
    """A file of another version is named as such."""
    with pytest.raises(BaselineError, match="a baseline with schema 2; this version reads 1"):
        read_baseline("schema = 2\ncalls = []")


def test_bounds() -> None:
    """A run keeps 10,000 entries, and a file may have as many."""
    baseline = Baseline()
    for number in range(MAX_ENTRIES + 1):
        baseline.add([traced(f"S3.Op{number}", 0, 1)])
    assert len(baseline.entries) == MAX_ENTRIES
    assert len(read_baseline(baseline.to_toml()).entries) == MAX_ENTRIES
    more = Baseline([*baseline.entries, LOGS]).to_toml()
    with pytest.raises(BaselineError, match="more than 10,000 entries"):
        read_baseline(more)


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.lists(st.builds(Entry, _texts, _texts, _texts, _texts), max_size=5))
def test_any_text(entries: list[Entry]) -> None:
    """Whatever senders call their operations, the file is read as it was written."""
    assert read_baseline(Baseline(entries).to_toml()).entries == sorted(set(entries))
