"""Whether a trace that begins here is recorded, as the standard samplers decide.

The command needs the answer in its environment before the SDK, whose samplers decide for every span, can be loaded; a
law in the tests says that both agree. A sampler that only the SDK knows is taken to record. Where the ratio is unusable
the default sampler takes its place, as it does when the SDK's are made. Standard library only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TRACE_ID_LIMIT = 2**64 - 1  # the ratio sampler looks at the lower half of the trace id


def is_root_sampled(trace_id: int, parent_sampled: bool | None, environ: Mapping[str, str]) -> bool:  # ruff: ignore[boolean-type-hint-positional-argument]
    """Return whether a span with this trace id is recorded; ``parent_sampled`` is None where it has no parent."""
    name = environ.get("OTEL_TRACES_SAMPLER", "").strip().lower() or "parentbased_always_on"
    root = name.removeprefix("parentbased_")
    ratio = _ratio(environ) if root == "traceidratio" else 1.0
    if parent_sampled is not None and (root != name or ratio is None):
        return parent_sampled
    if ratio is None:
        return True
    return root != "always_off" and trace_id & _TRACE_ID_LIMIT < round(ratio * (_TRACE_ID_LIMIT + 1))


def _ratio(environ: Mapping[str, str]) -> float | None:
    try:
        ratio = float(environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip() or 1.0)
    except ValueError:
        return None
    return ratio if 0.0 <= ratio <= 1.0 else None
