"""A finding of doctor, and the result of one check."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """Something that keeps calls from being traced, or a script from running."""

    code: str
    """Stable, in kebab case; its anchor in docs/troubleshooting.md."""
    what: str
    """One line; no value of a variable that may hold a secret."""
    why: str
    """The consequence, in one or two sentences."""
    fix: str
    """What to type or to change."""


class Checked(NamedTuple):
    """The result of one check."""

    name: str
    state: str
    """What was found there, in one line."""
    findings: tuple[Finding, ...] = ()


def environment_lost(what: str, fix: str) -> Finding:
    """Return the finding that the variables of CSM do not get as far as the SDK."""
    why = "The variables that enable CSM do not reach the program, so it sends nothing."
    return Finding("environment-lost", what, why, fix)
