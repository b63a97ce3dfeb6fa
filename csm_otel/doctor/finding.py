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
