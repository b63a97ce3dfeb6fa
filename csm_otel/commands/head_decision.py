"""Whether a trace that begins here is recorded, as the standard samplers decide.

The command needs the answer in its environment before the SDK, whose samplers decide about every span, can be loaded;
the tests compare both. A sampler that only the SDK knows is assumed to record. Standard library only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from csm_otel.delivery.sampler_choice import SamplerChoice

_TRACE_ID_LIMIT = 2**64 - 1  # the ratio sampler compares the lower half of the trace id


def is_root_sampled(sampler: SamplerChoice, trace_id: int, *, parent_sampled: bool | None) -> bool:
    """Return whether a span with this trace id is sampled; ``parent_sampled`` is None without a parent."""
    if parent_sampled is not None and sampler.follows_parent:
        return parent_sampled
    return sampler.root != "always_off" and trace_id & _TRACE_ID_LIMIT < round(sampler.ratio * (_TRACE_ID_LIMIT + 1))
