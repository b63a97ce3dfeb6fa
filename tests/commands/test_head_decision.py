"""The head decision is that of the SDK's samplers."""

from __future__ import annotations

import pytest
from flat import flat_span
from hypothesis import example, given
from hypothesis import strategies as st

from csm_otel.commands.head_decision import is_root_sampled
from csm_otel.delivery.sampler_choice import SamplerChoice, choose_sampler
from csm_otel.delivery.sampling import HeadSampler, load_sampler
from csm_otel.errors import SettingsError
from csm_otel.spans.data import Resource, SpanKind, SpanRole, TraceContext

STANDARD = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)

names = st.sampled_from(STANDARD).flatmap(lambda name: st.sampled_from([name, name.upper(), f" {name} "]))
ratios = st.one_of(
    st.floats(0, 1).map(str),
    st.sampled_from(["", " ", "0", "1", "0.0", "1.0", " 0.25 ", "1e-3", "1e-300", "-0.0"]),
    st.sampled_from(["half", "1.5", "-1", "nan", "inf", "50%"]),
)
trace_ids = st.integers(1, 2**128 - 1)
parents = st.sampled_from([None, True, False])


def chosen(name: str, argument: str) -> SamplerChoice:
    """Return the sampler of that name, or the default if its argument is unusable."""
    try:
        return choose_sampler(name, argument)
    except SettingsError:
        return SamplerChoice()


def sdk_decides(choice: SamplerChoice, trace_id: int, *, parent_sampled: bool | None) -> bool:
    """Return whether the SDK's sampler keeps the command's span."""
    parent = None
    if parent_sampled is not None:
        parent = TraceContext(trace_id=trace_id, span_id=1, sampled=parent_sampled, is_remote=True)
    span = flat_span(
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
    return bool(HeadSampler(load_sampler(choice)).keep([span]))


@given(name=names, argument=ratios, trace_id=trace_ids, parent=parents)
@example("traceidratio", "0.5", 2**63 - 1, None)
@example("traceidratio", "0.5", 2**63, None)
@example("traceidratio", "1", 2**128 - 1, None)
@example("parentbased_traceidratio", "0", 2**64, None)
@example("traceidratio", "half", 2**128 - 1, False)
@example("traceidratio", " ", 2**128 - 1, False)
def test_agrees_with_the_sdk(name: str, argument: str, trace_id: int, parent: bool | None) -> None:  # ruff: ignore[boolean-type-hint-positional-argument]
    """For every standard sampler, argument, trace id and parent the answer is the SDK's."""
    choice = chosen(name, argument)

    assert is_root_sampled(choice, trace_id, parent_sampled=parent) == sdk_decides(
        choice, trace_id, parent_sampled=parent
    )


@given(trace_id=trace_ids, parent=parents)
@pytest.mark.parametrize("argument", ["", "0"])
def test_default(argument: str, trace_id: int, parent: bool | None) -> None:  # ruff: ignore[boolean-type-hint-positional-argument]
    """By default a parent's decision is kept, and roots are sampled, whatever the argument."""
    assert is_root_sampled(choose_sampler("", argument), trace_id, parent_sampled=parent) is (parent is not False)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("jaeger_remote", (True, True), id="decides-itself"),
        pytest.param("parentbased_jaeger_remote", (True, False), id="follows-its-parent"),
    ],
)
def test_a_sampler_that_only_the_sdk_knows(name: str, expected: tuple[bool, bool]) -> None:
    """With another sampler spans are assumed to be sampled, but for a parent-based one below an unsampled parent."""
    choice = choose_sampler(name, "")

    assert expected == (
        is_root_sampled(choice, 1, parent_sampled=None),
        is_root_sampled(choice, 1, parent_sampled=False),
    )
