"""The grammar of rules: what each text means, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.errors import RuleError
from csm_otel.verdict.rules import Flag, Has, Is, Limit, Measure, Property, parse_rules


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        pytest.param("calls>500", Limit(Measure.CALLS, ">", 500), id="count"),
        pytest.param("retries >= 2", Limit(Measure.RETRIES, ">=", 2), id="blanks"),
        pytest.param("p95>2s", Limit(Measure.P95, ">", 2e9), id="seconds"),
        pytest.param("max>1.5min", Limit(Measure.MAX, ">", 90e9), id="minutes"),
        pytest.param("time>100ms", Limit(Measure.TIME, ">", 1e8), id="milliseconds"),
        pytest.param("ambiguous>1%", Limit(Measure.AMBIGUOUS, ">", 1, is_share=True), id="share"),
        pytest.param("dropped!=0", Limit(Measure.DROPPED, "!=", 0), id="not-equal"),
        pytest.param("calls=0", Limit(Measure.CALLS, "=", 0), id="equal"),
    ],
)
def test_limits(text: str, limit: Limit) -> None:
    """A measure has an operator and a number, with the unit of its kind."""
    (rule,) = parse_rules(text)
    assert (rule.choices, rule.limits) == ((), (limit,))


def test_choices() -> None:
    """Flags and properties choose calls."""
    (rule,) = parse_rules("error & region != eu-*")
    flag, has = rule.choices

    assert flag == Is(Flag.ERROR)
    assert isinstance(has, Has)
    assert (has.name, has.is_negated, rule.limits, rule.text) == (Property.REGION, True, (), "error & region != eu-*")
    assert (has.matches("us-east-1"), has.matches("EU-west-1")) == (True, False)


@pytest.mark.parametrize(
    ("text", "name", "is_chosen"),
    [
        pytest.param("error=accessdenied", "AccessDenied", True, id="any-case"),
        pytest.param("error=*Denied", "AccessDenied", True, id="any-letters"),
        pytest.param("region=us-????-1", "us-east-1", True, id="any-letter"),
        pytest.param("region=us-?-1", "us-east-1", False, id="one-letter"),
        pytest.param("region=[a-z]*", "us-east-1", False, id="brackets-are-letters"),
        pytest.param("error=a[b]", "a[b]", True, id="brackets-match-themselves"),
        pytest.param("service=CloudWatch Logs", "CloudWatch Logs", True, id="blank"),
        pytest.param("access=w*", "write", True, id="beginning"),
    ],
)
def test_patterns(text: str, name: str, *, is_chosen: bool) -> None:
    """Asterisks and question marks stand for letters, and nothing else does."""
    ((has,),) = (rule.choices for rule in parse_rules(text))
    assert isinstance(has, Has)
    assert has.matches(name) == is_chosen


def test_several() -> None:
    """Rules are separated by commas, terms by ampersands."""
    rules = parse_rules(" error , throttle&calls>3,,not-sent ")
    assert [rule.text for rule in rules] == ["error", "throttle & calls>3", "not-sent"]
    assert [(len(rule.choices), len(rule.limits)) for rule in rules] == [(1, 0), (1, 1), (1, 0)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "no rule", id="empty"),
        pytest.param(" , ", "no rule", id="commas"),
        pytest.param("errors", "unknown: 'errors'; known are error, throttle, not-sent, retry", id="flag"),
        pytest.param(
            "latency>2s",
            "unknown: 'latency'; known are calls, errors, throttles, retries, time, p50, p95, max, ambiguous, dropped, "
            "new, gone",
            id="measure",
        ),
        pytest.param("region>eu", "region can be compared by = and != only", id="operator"),
        pytest.param(
            "error==AccessDenied", "error: an operator in the value; terms are joined by &", id="two-operators"
        ),
        pytest.param("region=>us", "region: an operator in the value; terms are joined by &", id="swapped-operator"),
        pytest.param(
            "call=s3:GetObject calls>5", "call: an operator in the value; terms are joined by &", id="no-ampersand"
        ),
        pytest.param(
            "call=GetObject",
            "call: 'GetObject' is an operation without its service, as in s3:GetObject or *:GetObject",
            id="no-service",
        ),
        pytest.param("access!=writes", "access: 'writes' is none of read, write", id="no-access"),
        pytest.param("p95>2", "p95: a time needs a unit: ms, s, min, h", id="no-unit"),
        pytest.param("calls>1%", "calls: a number without '%'", id="no-share"),
        pytest.param("calls>many", "calls: no number: 'many'", id="no-number"),
        pytest.param("error &", "no term of a rule: ''", id="no-term"),
        pytest.param("calls>", "no term of a rule: 'calls>'", id="no-value"),
        pytest.param("Error", "no term of a rule: 'Error'", id="case"),
        pytest.param(",".join(["error"] * 101), "more than 100 rules", id="many"),
        pytest.param("e" * 10_001, "longer than 10,000 characters", id="long"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    """What is no rule is named in one line."""
    with pytest.raises(RuleError) as raised:
        parse_rules(text)
    assert str(raised.value) == reason


@given(st.text(max_size=40) | st.from_regex(r"[a-z0-9-]{1,9}(=|!=|>|<)[a-z0-9*%.]{1,9}", fullmatch=True))
def test_any_text(text: str) -> None:
    """A text is rules, or there is one line that says why not."""
    try:
        said = ", ".join(rule.text for rule in parse_rules(text))
    except RuleError as error:
        said = str(error)
    assert said
    assert "\n" not in said.replace(text, "")
