"""Annotations as the runner of GitHub Actions reads them."""

from __future__ import annotations

from itertools import starmap

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.runner_commands import Command, commands_in

from csm_otel.report.annotations import render_annotations
from csm_otel.report.findings import Finding, Weight
from csm_otel.report.terminal import printable


@pytest.mark.parametrize(
    ("title", "text", "line"),
    [
        pytest.param(
            "S3.GetObject: 403 AccessDenied",
            "at once, 100%",
            "::error title=S3.GetObject%3A 403 AccessDenied::at once, 100%25\n",
            id="plain",
        ),
        pytest.param(
            "a,file=x::b", "::stop-commands::x", "::error title=a%2Cfile=x%3A%3Ab::::stop-commands::x\n", id="::"
        ),
        pytest.param("a\n::error::b", "c\r\nd", "::error title=a %3A%3Aerror%3A%3Ab::c d\n", id="lines"),
        pytest.param("%0A", "%0A%3A", "::error title=%250A::%250A%253A\n", id="escapes"),
        pytest.param("##[add-mask]a", "##[add-mask]a", "::error title=## [add-mask]a::## [add-mask]a\n", id="older"),
    ],
)
def test_line(title: str, text: str, line: str) -> None:
    """It is one line, and one command, whatever the texts are."""
    assert render_annotations([Finding(Weight.ERROR, title, text)]) == line
    assert commands_in(line) == [Command("error", {"title": printable(title)}, printable(text))]


_texts = st.text(st.characters() | st.sampled_from("%:,#[]=\r\n "), max_size=60)


@given(st.lists(st.tuples(st.sampled_from(Weight), _texts, _texts), max_size=6))
def test_any_texts(found: list[tuple[Weight, str, str]]) -> None:
    """The runner reads as many commands as there are findings, with their texts, and trims the ends of titles."""
    read = commands_in(render_annotations(starmap(Finding, found)))
    assert sorted((one.name, one.properties.get("title", ""), one.data) for one in read) == sorted(
        (weight.value, printable(title).rstrip(), printable(text)) for weight, title, text in found
    )


@pytest.mark.parametrize(("number", "shown"), [(0, 0), (9, 9), (10, 9), (20_000, 9)])
def test_bound(number: int, shown: int) -> None:
    """Of more than nine of a kind eight are shown, and the last says how many more there are."""
    findings = [Finding(weight, f"t{at}", "x") for at in range(number) for weight in (Weight.WARNING, Weight.ERROR)]
    read = commands_in(render_annotations(findings))
    assert [one.name for one in read] == ["error"] * shown + ["warning"] * shown
    if number > shown:
        assert read[8].data == f"{number - 8:,} more errors; they are in the summaries of csm-otel"


def test_length() -> None:
    """Title and text are cut below what GitHub shows."""
    [one] = commands_in(render_annotations([Finding(Weight.ERROR, "t" * 5_000, "x" * 5_000)]))
    assert (len(one.properties["title"]), len(one.data)) == (120, 1_000)


def test_trace_url() -> None:
    """The trace is a notice, if there is anything else to report."""
    url = "http://localhost:16686/trace/4b?a=1,2%20"
    read = commands_in(render_annotations([Finding(Weight.WARNING, "t", "x")], trace_url=url))
    assert read[1] == Command("notice", {"title": "Trace of the AWS calls"}, url)
    assert not render_annotations([], trace_url=url)
