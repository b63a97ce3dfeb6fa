"""What commands read in the answers of a daemon, which may be any program's: `counts_in`.

Standard library only, as probes start often.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from csm_otel.tally import Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping


def counts_in(answer: Mapping[str, Any]) -> Snapshot | None:
    """Return the counts of an answer, or None if there are none."""
    values: dict[str, Any] = {name: answer.get(name) for name in Snapshot._fields}
    dropped = values.pop("datagrams_dropped_by_kernel")
    if not isinstance(dropped, int | None) or not all(isinstance(value, int) for value in values.values()):
        return None
    return Snapshot(datagrams_dropped_by_kernel=dropped, **values)


def no_csm_otel(where: str) -> str:
    """Return the line for an answer that no daemon gives."""
    return f"{where}: what answers there is no csm-otel, or an older one"
