"""Trace ids and tracing headers of AWS X-Ray."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.csm.traceparent import TraceParent
from csm_otel.csm.xray import TracingHeader, parse_tracing_header, tracing_header, xray_trace_id

TRACE, SPAN = 0x5759E988_BD862E3FE1BE46A994272793, 0x53995C3F42CD8AD8
ROOT, PARENT = "Root=1-5759e988-bd862e3fe1be46a994272793", "Parent=53995c3f42cd8ad8"
SAMPLED = TracingHeader(TRACE, SPAN, sampled=True)


@pytest.mark.parametrize(
    ("time_ns", "first"),
    [
        pytest.param(1_999_999_999, 1, id="within-its-second"),
        pytest.param(1_465_510_280_999_999_999, 0x5759E988, id="rounded-down"),
        pytest.param((2**32 + 5) * 10**9, 5, id="beyond-the-32-bits"),
    ],
)
def test_an_xray_id_begins_with_its_second(time_ns: int, first: int) -> None:
    """Its first 32 bits are the second; the other 96 are those of the id given."""
    given = 0xFFFFFFFF_BD862E3FE1BE46A994272793

    assert f"{xray_trace_id(given, time_ns):032x}" == f"{first:08x}bd862e3fe1be46a994272793"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(f"{ROOT};{PARENT};Sampled=1", SAMPLED, id="sampled"),
        pytest.param(f"{ROOT};{PARENT};Sampled=0", SAMPLED._replace(sampled=False), id="not-sampled"),
        pytest.param(f"{ROOT};{PARENT};Sampled=?", SAMPLED._replace(sampled=None), id="to-be-decided"),
        pytest.param(f"{ROOT};{PARENT}", SAMPLED._replace(sampled=None), id="no-decision"),
        pytest.param(f" Sampled=1; {PARENT} ;{ROOT};", SAMPLED, id="any-order-and-blanks"),
        pytest.param(f"{ROOT.upper().replace('ROOT', 'Root')};{PARENT};Sampled=1", SAMPLED, id="capital-digits"),
        pytest.param(
            f"Self=1-2-3;{ROOT};{PARENT};Sampled=1;Lineage=25:a87bd80c:1",
            SAMPLED._replace(others="Self=1-2-3;Lineage=25:a87bd80c:1"),
            id="other-fields",
        ),
        pytest.param(f"{ROOT};Sampled=1", None, id="no-parent"),
        pytest.param(f"{PARENT};Sampled=1", None, id="no-root"),
        pytest.param("Root=;Parent=;Sampled=1", None, id="empty-fields"),
        pytest.param(f"{ROOT.replace('=1-', '=2-')};{PARENT}", None, id="another-version"),
        pytest.param(f"{ROOT}0;{PARENT}", None, id="too-long"),
        pytest.param(f"{ROOT};{PARENT[:-1]}", None, id="too-short"),
        pytest.param(f"{ROOT[:-1]}g;{PARENT}", None, id="no-digit"),
        pytest.param(f"Root=1-{'0' * 8}-{'0' * 24};{PARENT}", None, id="zero-trace-id"),
        pytest.param(f"{ROOT};Parent={'0' * 16}", None, id="zero-parent"),
        pytest.param(f"00-{TRACE:032x}-{SPAN:016x}-01", None, id="traceparent"),
        pytest.param("", None, id="empty"),
    ],
)
def test_parse(text: str, expected: TracingHeader | None) -> None:
    """A header with a trace and a parent is parsed, whatever else it has; anything else is None."""
    assert parse_tracing_header(text) == expected


def test_text() -> None:
    """A span is written in X-Ray's form, before the other fields."""
    assert tracing_header(TraceParent(TRACE, SPAN, sampled=True)) == f"{ROOT};{PARENT};Sampled=1"
    assert tracing_header(TraceParent(1, 2, sampled=False), "Lineage=x") == (
        "Root=1-00000000-000000000000000000000001;Parent=0000000000000002;Sampled=0;Lineage=x"
    )


@given(st.builds(TraceParent, st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans()))
def test_text_and_back(context: TraceParent) -> None:
    """Any context is parsed back from its header."""
    assert parse_tracing_header(tracing_header(context)) == TracingHeader(*context)


@given(st.text(max_size=200))
def test_no_text_raises(text: str) -> None:
    """What is no header is None."""
    assert parse_tracing_header(f"{text};{ROOT}") is None
