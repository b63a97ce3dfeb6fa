"""Head sampling by the SDK's samplers and by those of plug-ins."""

from __future__ import annotations

from typing import Any

import pytest
from delivery.samples import ATTEMPT, CALL, changed
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import TraceState, get_current_span

from csm_otel.delivery.sampler_choice import choose_sampler
from csm_otel.delivery.sampling import HeadSampler, load_sampler
from csm_otel.spans.data import TraceContext

_SAMPLED = TraceContext(trace_id=CALL.context.trace_id, span_id=9, trace_state="a=1", is_remote=True)
_UNSAMPLED = TraceContext(trace_id=CALL.context.trace_id, span_id=9, sampled=False, is_remote=True)


@pytest.mark.parametrize(
    ("name", "argument", "root", "below_sampled", "below_unsampled"),
    [
        pytest.param("always_on", None, True, True, True, id="always_on"),
        pytest.param("always_off", None, False, False, False, id="always_off"),
        pytest.param("traceidratio", "1", True, True, True, id="ratio-all"),
        pytest.param("traceidratio", "0", False, False, False, id="ratio-none"),
        pytest.param("traceidratio", None, True, True, True, id="ratio-default-is-all"),
        pytest.param("parentbased_always_on", None, True, True, False, id="parentbased_always_on"),
        pytest.param("parentbased_always_off", None, False, True, False, id="parentbased_always_off"),
        pytest.param("parentbased_traceidratio", "0.0", False, True, False, id="parentbased_traceidratio"),
        pytest.param(" ParentBased_Always_On ", "unused", True, True, False, id="blanks-and-case"),
    ],
)
def test_the_six_samplers_of_the_specification(
    name: str, argument: str | None, *, root: bool, below_sampled: bool, below_unsampled: bool
) -> None:
    """Each decides for a root, and for a call whose parent is sampled or not, as the specification says."""
    sampler = HeadSampler(load_sampler(choose_sampler(name, argument or "")))
    kept = [len(sampler.keep([changed(CALL, parent=parent)])) for parent in (None, _SAMPLED, _UNSAMPLED)]
    assert [int(root), int(below_sampled), int(below_unsampled)] == kept


_contexts = st.builds(
    TraceContext,
    trace_id=st.just(CALL.context.trace_id),
    span_id=st.integers(1, 3),
    sampled=st.booleans(),
    trace_state=st.sampled_from(["", "a=1", "not valid"]),
    is_remote=st.booleans(),
)


@settings(max_examples=200, deadline=None)
@given(st.none() | _contexts, _contexts, _contexts)
def test_the_default_decides_as_the_sdk_without_asking_it(
    parent: TraceContext | None, context: TraceContext, attempt_context: TraceContext
) -> None:
    """For a call with an attempt, any parent and any sampling flags of its spans."""
    call = changed(CALL, context=context, parent=parent)
    attempt = changed(ATTEMPT, context=attempt_context, parent=context)
    without_asking, asking = (
        HeadSampler(load_sampler(choose_sampler("parentbased_always_on", ""))),
        HeadSampler(ParentBased(ALWAYS_ON)),
    )
    for tree in ([call], [call, attempt], [attempt]):
        assert without_asking.keep(tree) == asking.keep(tree)
    root = changed(call, parent=None)
    assert without_asking.decide(root) == asking.decide(root)


def test_a_ratio_decides_by_the_trace_id() -> None:
    """Half of the trace ids are kept, by their lower 64 bits, whole trees at a time."""
    sampler = HeadSampler(load_sampler(choose_sampler("parentbased_traceidratio", "0.5")))
    low, high = (
        [
            changed(span, context=TraceContext(trace_id=trace_id, span_id=span.context.span_id))
            for span in (CALL, ATTEMPT)
        ]
        for trace_id in (2**63 - 1, 2**63)
    )
    assert [len(sampler.keep(tree)) for tree in (low, high)] == [2, 0]


class _Scripted(Sampler):
    """Decides by a function of name, attributes and parent, and records what it was asked."""

    def __init__(self, decide: Any) -> None:
        self._decide = decide
        self.parents: list[tuple[int, bool, bool]] = []

    def should_sample(self, *asked: Any, **_: Any) -> SamplingResult:
        parent_context, _trace_id, name, _kind, attributes = asked
        parent = get_current_span(parent_context).get_span_context()
        self.parents.append((parent.span_id, parent.trace_flags.sampled, parent.is_remote))
        result: SamplingResult = self._decide(name, attributes)
        return result

    @staticmethod
    def get_description() -> str:
        return "scripted"


def test_a_sampler_can_keep_every_failure() -> None:
    """The result is among the attributes that the sampler reads."""
    sampler = _Scripted(
        lambda _, attributes: SamplingResult(
            Decision.RECORD_AND_SAMPLE if "error.type" in attributes else Decision.DROP, attributes
        )
    )
    assert [CALL.name] == [span.name for span in HeadSampler(sampler).keep([CALL])]
    assert HeadSampler(sampler).keep([changed(CALL, attributes={})]) == []


def test_additions_of_the_sampler_are_kept() -> None:
    """Attributes of the result are merged into the span's, its tracestate replaces the span's."""
    result = SamplingResult(Decision.RECORD_AND_SAMPLE, {"sampling.rate": 0.5}, TraceState([("a", "2")]))
    (kept,) = HeadSampler(_Scripted(lambda *_: result)).keep([CALL])
    assert {**CALL.attributes, "sampling.rate": 0.5} == kept.attributes
    assert kept.context.trace_state == "a=2"


def test_the_tracestate_of_the_parent_goes_on_to_call_and_attempt() -> None:
    """The SDK's samplers pass the parent's tracestate on, through the call to its attempts."""
    kept = HeadSampler(load_sampler(choose_sampler("parentbased_always_on", ""))).keep(
        [changed(CALL, parent=_SAMPLED), ATTEMPT]
    )
    assert [span.context.trace_state for span in kept] == ["a=1", "a=1"]


def test_attempts_have_the_decision_of_their_call() -> None:
    """A dropped call is shown to the sampler as an unsampled local parent, whatever its span data."""
    sampler = _Scripted(lambda *_: SamplingResult(Decision.DROP))
    assert HeadSampler(sampler).keep([changed(CALL, parent=_SAMPLED), ATTEMPT]) == []
    assert [(9, True, True), (CALL.context.span_id, False, False)] == sampler.parents


@pytest.mark.parametrize("ratio", ["0", "0.5", "1"])
def test_a_root_is_decided_before_its_children(ratio: str) -> None:
    """The decision on an incomplete root applies to it, and to the calls whose parent it is."""
    sampler = HeadSampler(load_sampler(choose_sampler("parentbased_traceidratio", ratio)))
    for trace_id in (2**62, 2**63 + 1):
        root = sampler.decide(changed(CALL, context=TraceContext(trace_id=trace_id, span_id=1)))
        assert root.context.sampled == (trace_id < float(ratio) * 2**64)
        child = changed(CALL, context=TraceContext(trace_id=trace_id, span_id=2), parent=root.context)
        assert bool(sampler.keep([child])) == root.context.sampled


def test_additions_to_a_decided_root_are_kept() -> None:
    """Attributes and trace state of the sampler's result are on the root and passed on to its children."""
    result = SamplingResult(Decision.RECORD_AND_SAMPLE, {"sampling.rate": 0.5}, TraceState([("a", "2")]))
    root = HeadSampler(_Scripted(lambda *_: result)).decide(CALL)
    assert {**CALL.attributes, "sampling.rate": 0.5} == root.attributes
    assert root.context.trace_state == "a=2"


def test_recorded_is_not_sampled() -> None:
    """RECORD_ONLY must not be exported, so it is left out."""
    assert HeadSampler(_Scripted(lambda *_: SamplingResult(Decision.RECORD_ONLY))).keep([CALL]) == []
