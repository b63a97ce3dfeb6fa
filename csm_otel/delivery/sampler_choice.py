"""Which sampler ``OTEL_TRACES_SAMPLER`` and ``OTEL_TRACES_SAMPLER_ARG`` choose: `SamplerChoice`.

Standard library only: `exec` decides about its trace before the SDK, whose samplers decide about every span, is loaded.
"""

from __future__ import annotations

from typing import NamedTuple

from csm_otel.errors import Fault, SettingsError, quoted

_PARENT_BASED = "parentbased_"
ROOTS = ("always_on", "always_off", "traceidratio")
"""The standard samplers of spans without a parent."""


class SamplerChoice(NamedTuple):
    """A sampler by name."""

    root: str = "always_on"
    """What decides about a span without a parent: one of the three of the specification, or a registered name."""
    follows_parent: bool = True
    """Whether a parent's decision holds for its children."""
    ratio: float = 1.0
    """Of ``traceidratio``."""
    argument: str = ""
    """Of a sampler that a package registers."""

    @property
    def is_standard(self) -> bool:
        """Whether it is one of the six of the specification."""
        return self.root in ROOTS


def choose_sampler(name: str, argument: str) -> SamplerChoice:
    """Return the sampler of a name, by default `SamplerChoice()`; whether a package registers it remains to be seen.

    Raises:
        SettingsError: the ratio is unusable.
    """
    word = name.strip().lower()
    if not word:
        return SamplerChoice()
    root = word.removeprefix(_PARENT_BASED)
    if root not in ROOTS:
        return SamplerChoice(name.strip(), follows_parent=root != word, argument=argument)
    ratio = _ratio(argument) if root == "traceidratio" else 1.0
    return SamplerChoice(root, follows_parent=root != word, ratio=ratio)


def _ratio(argument: str) -> float:
    text = argument.strip()
    try:
        ratio = float(text or "1")  # the specification's default
    except ValueError:
        ratio = -1.0
    if not 0.0 <= ratio <= 1.0:
        raise SettingsError([Fault("OTEL_TRACES_SAMPLER_ARG", f"{quoted(text)} is not a ratio from 0 to 1")])
    return ratio
