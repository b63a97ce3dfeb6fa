"""Addresses of traces."""

from __future__ import annotations

import pytest

from csm_otel.report.links import check_trace_url, trace_link

ID = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost:16686/trace/{trace_id}",
        "https://[::1]/explore?left={trace_id}&orgId=1#a",
        "http://host/@team/{trace_id}",
    ],
)
def test_usable(text: str) -> None:
    """A URL with a place for the id is kept as it is."""
    assert check_trace_url(text) == text
    assert trace_link(text, ID) == text.replace("{trace_id}", ID)


def test_no_link() -> None:
    """Without a template, or with several traces, there is none."""
    assert (trace_link("", ID), trace_link("http://a/{trace_id}", "")) == ("", "")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("http://localhost/trace/", id="no-id"),
        pytest.param("localhost/{trace_id}", id="no-scheme"),
        pytest.param("javascript:alert('{trace_id}')", id="script"),
        pytest.param("http:///{trace_id}", id="no-host"),
        pytest.param("http://a/{trace_id} x", id="space"),
        pytest.param("http://a/{trace_id}>", id="bracket"),
        pytest.param("http://a/{trace_id}\n::error::x", id="line"),
        pytest.param("http://ä/{trace_id}", id="not-ascii"),
    ],
)
def test_unusable(text: str) -> None:
    """Anything else is a fault."""
    with pytest.raises(ValueError, match=r"is no URL with \{trace_id\} in it"):
        check_trace_url(text)


def test_credentials() -> None:
    """They would be published, and are not quoted."""
    with pytest.raises(ValueError, match="user name or password") as caught:
        check_trace_url("http://user:hunter2@host/{trace_id}")
    assert "hunter2" not in str(caught.value)
