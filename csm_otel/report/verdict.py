"""A rule that was broken, in words: `render_broken`, `why_broken`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csm_otel.report.terminal import counted, shown

if TYPE_CHECKING:
    from csm_otel.verdict.judge import Broken

_MAX_COLUMNS = 300
_TIMES = ("time", "p50", "p95", "max")
_SHARES = ("errors", "throttles", "ambiguous")
_SHOWN = 3  # calls


def render_broken(broken: Broken) -> str:
    """Return one line: the rule and why it is broken."""
    return shown(f"{broken.rule}: {why_broken(broken)}", _MAX_COLUMNS)


def why_broken(broken: Broken) -> str:
    """Return what was measured, and the first calls where they are the reason, as they were sent."""
    facts = [f"{name} is {_value(name, value, broken.rule)}" for name, value in broken.values.items()]
    if not broken.values:
        more = ", ..." if broken.calls > _SHOWN else ""
        facts.append(f"{counted(broken.calls, 'call')}: {', '.join(broken.examples[:_SHOWN])}{more}")
    return ", ".join(facts)


def _value(name: str, value: float, rule: str) -> str:
    if name in _TIMES:
        return f"{value:,.0f} ms"
    return f"{value:,.12g}{'%' if name in _SHARES and '%' in rule else ''}"
