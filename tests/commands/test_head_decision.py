"""The head decision is the one that the SDK's samplers come to."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from csm_otel.commands.head_decision import is_root_sampled
from csm_otel.delivery.sampling import HeadSampler, sampler_from
from csm_otel.spans.data import Resource, SpanData, SpanKind, SpanRole, TraceContext

STANDARD = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)
DEFAULT = "parentbased_always_on"

names = st.sampled_from(STANDARD).flatmap(lambda name: st.sampled_from([name, name.upper(), f" {name} "]))
ratios = st.one_of(
    st.floats(0, 1).map(str),
    st.sampled_from(["", " ", "0", "1", "0.0", "1.0", " 0.25 ", "1e-3", "1e-300", "-0.0"]),
    st.sampled_from(["half", "1.5", "-1", "nan", "inf", "50%"]),
)
trace_ids = st.integers(1, 2**128 - 1)
parents = st.sampled_from([None, True, False])


def sdk_decides(name: str, argument: str, trace_id: int, parent_sampled: bool | None) -> bool:  # ruff: ignore[boolean-type-hint-positional-argument]
    """Return whether the SDK's sampler, or the default where there is none of that name, keeps the command's span."""
    try:
        sampler = sampler_from(name, argument or None)
    except ValueError:
        sampler = sampler_from(DEFAULT, None)
    parent = None
    if parent_sampled is not None:
        parent = TraceContext(trace_id=trace_id, span_id=1, sampled=parent_sampled, is_remote=True)
    span = SpanData(
        role=SpanRole.COMMAND,
        name="backup.py",
        kind=SpanKind.INTERNAL,
        context=TraceContext(trace_id=trace_id, span_id=2),
        parent=parent,
        start_ns=0,
        end_ns=1,
        attributes={},
        resource=Resource(()),
    )
    return bool(HeadSampler(sampler).keep([span]))


@given(name=names, argument=ratios, trace_id=trace_ids, parent=parents)
@example("traceidratio", "0.5", 2**63 - 1, None)
@example("traceidratio", "0.5", 2**63, None)
@example("traceidratio", "1", 2**128 - 1, None)
@example("parentbased_traceidratio", "0", 2**64, None)
@example("traceidratio", "half", 2**128 - 1, False)
@example("traceidratio", " ", 2**128 - 1, False)
def test_agrees_with_the_sdk(name: str, argument: str, trace_id: int, parent: bool | None) -> None:  # ruff: ignore[boolean-type-hint-positional-argument]
    """For every standard sampler, argument, trace id and parent the answer is the SDK's."""
    environ = {"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": argument}

    assert sdk_decides(name, argument, trace_id, parent) == is_root_sampled(trace_id, parent, environ)


@given(trace_id=trace_ids, parent=parents)
@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="unset"),
        pytest.param({"OTEL_TRACES_SAMPLER": ""}, id="empty"),
        pytest.param({"OTEL_TRACES_SAMPLER_ARG": "0"}, id="argument-alone"),
    ],
)
def test_default(environ: dict[str, str], trace_id: int, parent: bool | None) -> None:  # ruff: ignore[boolean-type-hint-positional-argument]
    """By default a parent's decision holds, and what has none is recorded."""
    assert sdk_decides(DEFAULT, "", trace_id, parent) == is_root_sampled(trace_id, parent, environ)


def test_a_sampler_that_only_the_sdk_knows() -> None:
    """Spans of a sampler from elsewhere are taken to be recorded."""
    assert is_root_sampled(1, None, {"OTEL_TRACES_SAMPLER": "jaeger_remote"})
