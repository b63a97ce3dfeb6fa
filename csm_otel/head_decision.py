"""Whether a trace that begins here is recorded, as the standard samplers decide.

The command needs the answer in its environment before the SDK, whose samplers decide for every span, can be loaded; a
law in the tests says that both agree. A sampler that only the SDK knows is taken to record. Standard library only.
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
    if root != name and parent_sampled is not None:
        return parent_sampled
    if root == "traceidratio":
        return trace_id & _TRACE_ID_LIMIT < round(_ratio(environ) * (_TRACE_ID_LIMIT + 1))
    return root != "always_off"


def _ratio(environ: Mapping[str, str]) -> float:
    try:
        ratio = float(environ.get("OTEL_TRACES_SAMPLER_ARG", "") or 1.0)
    except ValueError:
        return 1.0
    return ratio if 0.0 <= ratio <= 1.0 else 1.0
