"""benchmarks/e2e/table.py: rows, their ratios, and both forms of them."""

from __future__ import annotations

import pytest

from benchmarks.e2e.table import Row, as_json, line

PLAIN = Row.beside("cpu", "plain", "us", [50.0, 40.0, 60.0], baseline=None)
OURS = Row.beside("cpu", "ours", "us", [10.0, 10.0, 30.0], baseline=PLAIN, note="some note")


def test_each_value_is_compared_with_its_neighbour() -> None:
    """Ratios are those of values measured beside each other, and the ratio is their median."""
    assert OURS.ratios == pytest.approx([0.2, 0.25, 0.5])
    assert (10, 0.25, "plain") == (OURS.median, OURS.ratio, OURS.baseline)
    assert PLAIN.ratio is None


def test_a_baseline_of_nothing_has_no_ratio() -> None:
    """A rate of 0 compares with nothing."""
    nothing = Row.beside("sustained", "plain", "", [0.0], baseline=None)

    assert Row.beside("sustained", "ours", "", [1.0], baseline=nothing).ratio is None


@pytest.mark.parametrize(
    ("row", "words"),
    [
        pytest.param(PLAIN, ["plain,", "us", "50.0", "40.0-60.0"], id="baseline"),
        pytest.param(OURS, ["ours,", "us", "10.0", "10.0-30.0", "0.25x", "0.20-0.50", "some", "note"], id="ratio"),
        pytest.param(Row("s", "rate", "", [12_345.6]), ["rate", "12,346", "12,346-12,346"], id="large"),
        pytest.param(Row("s", "rate", "", [1.2345]), ["rate", "1.23", "1.23-1.23"], id="small"),
    ],
)
def test_lines(row: Row, words: list[str]) -> None:
    """A line has the median, the range, and both of the ratios."""
    assert words == line(row).split()


def test_json() -> None:
    """The document has every value."""
    document = as_json([OURS], {"processors": 2})

    assert document["processors"] == 2
    assert document["rows"] == [
        {
            "section": "cpu", "what": "ours", "unit": "us", "median": 10.0, "values": [10.0, 10.0, 30.0],
            "ratio": 0.25, "ratios": pytest.approx([0.2, 0.25, 0.5]), "baseline": "plain", "note": "some note",
        }
    ]  # fmt: skip
