"""Trace contexts as text, and in client ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.csm.traceparent import (
    MAX_NAME_BYTES,
    TraceParent,
    client_id_with,
    parse_traceparent,
    split_client_id,
    why_unusable,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CONTEXT = TraceParent(int(TRACE, 16), int(SPAN, 16), sampled=True)
VALID = f"00-{TRACE}-{SPAN}-01"
MAX_CLIENT_ID = 255  # botocore raises beyond it


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(VALID, CONTEXT, id="sampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-00", CONTEXT._replace(sampled=False), id="unsampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-03", CONTEXT, id="another-flag-too"),
        pytest.param(f"00-{TRACE}-{SPAN}-02", CONTEXT._replace(sampled=False), id="only-another-flag"),
        pytest.param(f"cc-{TRACE}-{SPAN}-01-what-the-future-brings", CONTEXT, id="later-version"),
        pytest.param(f"00-{TRACE}-{SPAN}-01-more", None, id="more-than-version-0-has"),
        pytest.param(f"ff-{TRACE}-{SPAN}-01", None, id="version-ff"),
        pytest.param(f"00-{'0' * 32}-{SPAN}-01", None, id="zero-trace-id"),
        pytest.param(f"00-{TRACE}-{'0' * 16}-01", None, id="zero-span-id"),
        pytest.param(f"00-{TRACE.upper()}-{SPAN}-01", None, id="upper-case"),
        pytest.param(f"00-{TRACE}-{SPAN}", None, id="no-flags"),
        pytest.param(f"00-{TRACE}-{SPAN}-1", None, id="short-flags"),
        pytest.param(f" {VALID}", None, id="leading-blank"),
        pytest.param(f"{VALID}\n", None, id="line-break"),
        pytest.param("", None, id="empty"),
    ],
)
def test_parse(text: str, expected: TraceParent | None) -> None:
    """A traceparent is parsed as W3C Trace Context specifies, and anything else is None."""
    assert expected == parse_traceparent(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param(f"{VALID}\n", "it has blanks around it or capital letters in it", id="line-break"),
        pytest.param(VALID.upper(), "it has blanks around it or capital letters in it", id="upper-case"),
        pytest.param(f"ff{VALID[2:]}", "its version or one of its ids is invalid", id="version-ff"),
        pytest.param(f"{VALID}-more", "its version or one of its ids is invalid", id="more-than-version-0-has"),
        pytest.param(f"00-{'0' * 32}-{SPAN}-01", "its version or one of its ids is invalid", id="zero-id"),
        pytest.param(
            "token=hunter2",
            "it is not of the form 00-TRACE_ID-PARENT_ID-FLAGS, of 2, 32, 16 and 2 digits",
            id="something-else",
        ),
    ],
)
def test_why_unusable(text: str, why: str) -> None:
    """What is wrong is said in words, without the text."""
    assert parse_traceparent(text) is None
    assert why_unusable(text) == why


@pytest.mark.parametrize(
    ("client_id", "name", "context"),
    [
        pytest.param(f"legacy-etl;{VALID}", "legacy-etl", CONTEXT, id="name-and-context"),
        pytest.param(f"a;b;{VALID}", "a;b", CONTEXT, id="the-last-semicolon"),
        pytest.param(f";{VALID}", "", CONTEXT, id="no-name"),
        pytest.param(VALID, "", CONTEXT, id="context-alone"),
        pytest.param("legacy-etl", "legacy-etl", None, id="name-alone"),
        pytest.param("", "", None, id="empty"),
        pytest.param("a;b", "a;b", None, id="semicolon-in-a-name"),
        pytest.param("eu-backupserviceprod1", "eu-backupserviceprod1", None, id="name-of-the-shape"),
        pytest.param("de-0123456789abcdef", "de-0123456789abcdef", None, id="name-of-hexadecimal-shape"),
        pytest.param("team;eu-backupserviceprod1", "team;eu-backupserviceprod1", None, id="tail-of-the-shape"),
        pytest.param(f"etl;ff-{TRACE}-{SPAN}-01", "etl", None, id="invalid-version"),
        pytest.param(f"etl;00-{'0' * 32}-{SPAN}-01", "etl", None, id="invalid-zero"),
        pytest.param(f"etl;00-{TRACE.upper()}-{SPAN}-01", "etl", None, id="invalid-upper-case"),
        pytest.param(f"etl;{VALID[:30]}", "etl", None, id="cut"),
    ],
)
def test_split_client_id(client_id: str, name: str, context: TraceParent | None) -> None:
    """The tail of a client id is a context if valid, dropped if malformed, and else part of the name."""
    assert (name, context) == split_client_id(client_id)


contexts = st.builds(TraceParent, st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans())


@given(contexts)
def test_text_and_back(context: TraceParent) -> None:
    """Any context is parsed back from its text."""
    assert context == parse_traceparent(str(context))


@given(name=st.text(max_size=400), context=contexts)
def test_client_id_and_back(name: str, context: TraceParent) -> None:
    """For any name, the client id fits every SDK, is printable ASCII, and has the context."""
    client_id = client_id_with(name, context)

    head, carried = split_client_id(client_id)

    assert context == carried
    assert client_id.isascii()
    assert client_id.isprintable()
    assert len(client_id) <= MAX_CLIENT_ID
    assert len(head) <= MAX_NAME_BYTES


@given(st.text(max_size=300))
def test_no_client_id_raises(client_id: str) -> None:
    """Any client id has a name, which is a prefix of it."""
    name, _ = split_client_id(client_id)

    assert client_id.startswith(name)
