"""The AWS SDK that a program has, and whether it has CSM."""

from __future__ import annotations

from typing import NamedTuple

from csm_otel.doctor.finding import Finding

_NO_CSM = "It does not implement CSM, so csm-otel sees none of its calls."


class Sdk(NamedTuple):
    """An SDK that was found, or not."""

    name: str
    """In a few words, with its version where that is known; "" if nothing is known."""
    findings: tuple[Finding, ...] = ()


UNKNOWN = Sdk("")


def with_csm(name: str) -> Sdk:
    """Return an SDK that has CSM."""
    return Sdk(f"{name} has CSM")


def without_csm(name: str, instead: str) -> Sdk:
    """Return an SDK that never had CSM, and what does the same within the program."""
    fix = f"use {instead} in the program itself"
    return Sdk(f"{name} has no CSM", (Finding("sdk-without-csm", f"the program uses {name}", _NO_CSM, fix),))


def too_old(name: str, upgrade: str) -> Sdk:
    """Return an SDK of a release before CSM, and the command that installs a later one."""
    return Sdk(f"{name} has no CSM", (Finding("sdk-too-old", f"{name} is too old for CSM", _NO_CSM, upgrade),))


def not_found(what: str, fix: str) -> Sdk:
    """Return that the SDK a script needs is not where it would be."""
    why = (
        "The script cannot use it, unless it adds a folder itself, or is run by another interpreter. "
        "Other programs that it starts are traced nonetheless."
    )
    return Sdk("", (Finding("sdk-not-found", what, why, fix),))
