"""The rules of ``--fail-on``: text in, `Rule` out (`parse_rules`).

Grammar, where blanks around words and operators are ignored::

    rules     = rule *("," rule)
    rule      = term *("&" term)
    term      = flag / property operator value / measure operator quantity
    flag      = "error" / "throttle" / "not-sent" / "retry"
    property  = "call" / "access" / "region" / "error" / "service"
    measure   = "calls" / "retries" / "time" / "p50" / "p95" / "max" / "errors" / "throttles" / "ambiguous" /
                "dropped" / "new" / "gone"
    operator  = "=" / "!=" / ">" / ">=" / "<" / "<="

Flags and properties choose calls; a measure is taken of the calls that the other terms of its rule choose, of all calls
where there are none. A rule is broken if all its measures are beyond their limits, or, where it has none, by each call
that it chooses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from fnmatch import translate
from operator import eq, ge, gt, le, lt, ne
from typing import TYPE_CHECKING, TypeVar

from csm_otel.errors import RuleError, quoted
from csm_otel.summary.access import Access

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_RULES = 100
"""More are a mistake."""
_MAX_TEXT_CHARS = 10_000
_TERM = re.compile(r"\s*(?P<name>[a-z0-9-]+)\s*(?:(?P<operator>!=|>=|<=|=|>|<)\s*(?P<value>.+?)\s*)?")
_NUMBER = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[a-z%]*)")
_OPERATORS = "=<>!"
_NS_PER_UNIT = {"ms": 1_000_000, "s": 1_000_000_000, "min": 60_000_000_000, "h": 3_600_000_000_000}


_Kind = TypeVar("_Kind", bound=Enum)


class Flag(Enum):
    """What a call may be."""

    ERROR = "error"
    THROTTLE = "throttle"
    NOT_SENT = "not-sent"
    RETRY = "retry"


class Property(Enum):
    """What a call has."""

    CALL = "call"
    SERVICE = "service"
    ACCESS = "access"
    REGION = "region"
    ERROR = "error"


class Measure(Enum):
    """What is measured of calls."""

    CALLS = "calls"
    ERRORS = "errors"
    THROTTLES = "throttles"
    RETRIES = "retries"
    """The most of one call."""
    TIME = "time"
    """The sum."""
    P50 = "p50"
    P95 = "p95"
    MAX = "max"
    AMBIGUOUS = "ambiguous"
    DROPPED = "dropped"
    """Datagrams and spans of the whole run."""
    NEW = "new"
    """Kinds of calls that the baseline does not have; of the whole run."""
    GONE = "gone"
    """Kinds of calls that only the baseline has."""


_TIMES = {Measure.TIME, Measure.P50, Measure.P95, Measure.MAX}
_SHARES = {Measure.ERRORS, Measure.THROTTLES, Measure.AMBIGUOUS}
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {"=": eq, "!=": ne, ">": gt, ">=": ge, "<": lt, "<=": le}


@dataclass(frozen=True)
class Is:
    """A term that a call fulfils by what it is."""

    flag: Flag


@dataclass(frozen=True)
class Has:
    """A term that a call fulfils by a text that matches a pattern, or by one that does not."""

    name: Property
    pattern: re.Pattern[str]
    is_negated: bool

    def matches(self, *texts: str) -> bool:
        """Return whether a call that has these names for it fulfils the term."""
        return any(map(self.pattern.fullmatch, texts)) is not self.is_negated


@dataclass(frozen=True)
class Limit:
    """A term on a measure of calls."""

    measure: Measure
    operator: str
    number: float
    """A count; nanoseconds of a time; percent of the calls, if ``is_share``."""
    is_share: bool = False

    def is_beyond(self, value: float) -> bool:
        """Return whether a value is what the term names."""
        return _COMPARISONS[self.operator](value, self.number)


@dataclass(frozen=True)
class Rule:
    """A rule, and its text."""

    text: str
    choices: tuple[Is | Has, ...]
    limits: tuple[Limit, ...]


def parse_rules(text: str) -> tuple[Rule, ...]:
    """Return the rules of a text.

    Raises:
        RuleError: it does not follow the grammar; the text says where.
    """
    if len(text) > _MAX_TEXT_CHARS:
        raise RuleError(f"longer than {_MAX_TEXT_CHARS:,} characters")
    rules = tuple(_rule(part) for part in text.split(",") if part.strip())
    if not rules:
        raise RuleError("no rule")
    if len(rules) > MAX_RULES:
        raise RuleError(f"more than {MAX_RULES} rules")
    return rules


def _rule(text: str) -> Rule:
    terms = [_term(part) for part in text.split("&")]
    return Rule(
        text=" & ".join(part.strip() for part in text.split("&")),
        choices=tuple(term for term in terms if not isinstance(term, Limit)),
        limits=tuple(term for term in terms if isinstance(term, Limit)),
    )


def _term(text: str) -> Is | Has | Limit:
    found = _TERM.fullmatch(text)
    if found is None:
        raise RuleError(f"no term of a rule: {quoted(text.strip())}")
    name, operator, value = found["name"], found["operator"], found["value"]
    if operator is None:
        return Is(_member(Flag, name))
    if name in {one.value for one in Property}:
        if operator not in {"=", "!="}:
            raise RuleError(f"{name} can be compared by = and != only")
        return Has(Property(name), _pattern(Property(name), value), operator == "!=")
    return _limit(_member(Measure, name), operator, value)


def _member(kind: type[_Kind], name: str) -> _Kind:
    try:
        return kind(name)
    except ValueError:
        known = ", ".join(str(one.value) for one in kind)
        raise RuleError(f"unknown: {quoted(name)}; known are {known}") from None


def _pattern(name: Property, text: str) -> re.Pattern[str]:
    """Return what matches a text with ``*`` and ``?`` as in file names, of any case.

    Raises:
        RuleError: it could never match, so that its rule would never be broken.
    """
    if any(letter in text for letter in _OPERATORS):
        raise RuleError(f"{name.value}: an operator in the value; terms are joined by &")
    pattern = re.compile(translate(text.replace("[", "[[]")), re.IGNORECASE)
    if name is Property.CALL and not any(letter in text for letter in ":.*?"):
        raise RuleError(f"call: {quoted(text)} is an operation without its service, as in s3:GetObject or *:GetObject")
    if name is Property.ACCESS and not any(pattern.fullmatch(access.value) for access in Access):
        raise RuleError(f"access: {quoted(text)} is none of {', '.join(access.value for access in Access)}")
    return pattern


def _limit(measure: Measure, operator: str, text: str) -> Limit:
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise RuleError(f"{measure.value}: no number: {quoted(text)}")
    number, unit = float(found["number"]), found["unit"]
    if measure in _TIMES:
        if unit not in _NS_PER_UNIT:
            raise RuleError(f"{measure.value}: a time needs a unit: {', '.join(_NS_PER_UNIT)}")
        return Limit(measure, operator, number * _NS_PER_UNIT[unit])
    if unit == "%" and measure in _SHARES:
        return Limit(measure, operator, number, is_share=True)
    if unit:
        raise RuleError(f"{measure.value}: a number without {quoted(unit)}")
    return Limit(measure, operator, number)
