"""Calls and rules to a verdict: `Judge`. Incremental, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from opentelemetry.semconv._incubating.attributes.cloud_attributes import CLOUD_REGION
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE

from csm_otel.summary.access import access_of
from csm_otel.summary.durations import Durations
from csm_otel.summary.service_names import iam_prefix
from csm_otel.summary.trace import Call, is_call_or_orphan, operation_of
from csm_otel.verdict.rules import Flag, Has, Is, Limit, Measure, Property, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from csm_otel.spans.data import SpanData

_MAX_EXAMPLES = 5
_NS_PER_MS = 1_000_000
_PERCENT = 100
OF_THE_RUN = frozenset({Measure.DROPPED, Measure.NEW, Measure.GONE})
"""Measures that are not of calls."""


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that was broken."""

    rule: str
    """Its text."""
    calls: int
    """That it concerns."""
    values: dict[str, float]
    """What was measured, by measure: counts, and times in milliseconds; of shares, percent."""
    examples: list[str]
    """The first calls: operation, with error and region where there are any; at most five."""


class _Count:
    """What is known of the calls that a rule chooses."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.calls = 0
        self.examples: list[str] = []
        self._lengths = Durations()
        self._counts = dict.fromkeys((Measure.ERRORS, Measure.THROTTLES, Measure.AMBIGUOUS, Measure.RETRIES), 0)

    def add(self, call: Call) -> None:
        self.calls += 1
        counts = self._counts
        counts[Measure.ERRORS] += call.span.is_error
        counts[Measure.THROTTLES] += call.is_throttled
        counts[Measure.AMBIGUOUS] += call.is_ambiguous
        counts[Measure.RETRIES] = max(counts[Measure.RETRIES], call.attempt_count - 1)
        self._lengths.add(call.span.end_ns - call.span.start_ns)
        if len(self.examples) < _MAX_EXAMPLES:
            self.examples.append(_described(call))

    def value_of(self, limit: Limit, of_the_run: Mapping[Measure, int]) -> float:
        """Return a measure: a count, nanoseconds, or a share in percent."""
        if limit.measure in OF_THE_RUN:
            return of_the_run.get(limit.measure, 0)
        if limit.measure is Measure.CALLS:
            return self.calls
        if limit.measure in self._counts:
            count = self._counts[limit.measure]
            return _PERCENT * count / max(self.calls, 1) if limit.is_share else count
        lengths = self._lengths.percentiles()
        milliseconds = {
            Measure.TIME: lengths.total_ms,
            Measure.P50: lengths.p50_ms,
            Measure.P95: lengths.p95_ms,
            Measure.MAX: lengths.max_ms,
        }
        return milliseconds[limit.measure] * _NS_PER_MS


class Judge:
    """Compares calls with rules."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        """Compare with these rules."""
        self._counts = [_Count(rule) for rule in rules]

    def add(self, spans: Sequence[SpanData]) -> None:
        """Add a call followed by its attempts; the span of a command or process is no call."""
        span, *attempts = spans
        if not is_call_or_orphan(span):
            return
        call = Call(span=span, attempts=tuple(attempts))
        names: dict[Property, tuple[str, ...]] | None = None
        for count in self._counts:
            if count.rule.choices:
                names = names or _names_of(call)
                if not all(_fulfils(call, term, names) for term in count.rule.choices):
                    continue
            count.add(call)

    def broken(self, of_the_run: Mapping[Measure, int]) -> list[Broken]:
        """Return the rules that are broken so far, in their order; ``of_the_run`` has the measures that no call has."""
        return [found for count in self._counts if (found := _broken(count, of_the_run)) is not None]


def _broken(count: _Count, of_the_run: Mapping[Measure, int]) -> Broken | None:
    limits = count.rule.limits
    values = [(limit, count.value_of(limit, of_the_run)) for limit in limits]
    if not all(limit.is_beyond(value) for limit, value in values) or not (limits or count.calls):
        return None
    return Broken(
        rule=count.rule.text,
        calls=count.calls,
        values={limit.measure.value: _shown(limit, value) for limit, value in values},
        examples=count.examples,
    )


def _shown(limit: Limit, value: float) -> float:
    is_time = limit.measure in {Measure.TIME, Measure.P50, Measure.P95, Measure.MAX}
    if limit.is_share:
        return float(f"{value:.3g}")  # not 0 for a few of many calls
    return value / _NS_PER_MS if is_time else value


def _fulfils(call: Call, term: Is | Has, names: Mapping[Property, tuple[str, ...]]) -> bool:
    if isinstance(term, Has):
        return term.matches(*names[term.name])
    return {
        Flag.ERROR: call.span.is_error,
        Flag.THROTTLE: call.is_throttled,
        Flag.NOT_SENT: call.is_not_sent,
        Flag.RETRY: call.attempt_count > 1,
    }[term.flag]


def _names_of(call: Call) -> dict[Property, tuple[str, ...]]:
    """Return the texts that a pattern may match: of an operation, as spans have it, and as IAM's actions have it."""
    service, api = operation_of(call.span)
    return {
        Property.CALL: (f"{service}.{api}", f"{iam_prefix(service)}:{api}"),
        Property.SERVICE: (service, iam_prefix(service)),
        Property.ACCESS: (access_of(service, api).value,),
        Property.REGION: (str(call.span.attribute(CLOUD_REGION) or ""),),
        Property.ERROR: (str(call.span.attribute(ERROR_TYPE) or ""),),
    }


def _described(call: Call) -> str:
    span = call.span
    facts = [span.name, str(span.attribute(ERROR_TYPE) or ""), str(span.attribute(CLOUD_REGION) or "")]
    return " ".join(fact for fact in facts if fact)
