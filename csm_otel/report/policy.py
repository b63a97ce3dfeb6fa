"""A summary to an IAM policy document with the actions that the calls need: `render_policy`.

CSM has no resources and no conditions, so that each statement allows its actions on all resources. JSON has no
comments; the statement ids say it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from csm_otel.summary.model import Summary

_VERSION = "2012-10-17"  # of the policy language: the current one


def render_policy(summary: Summary) -> bytes:
    """Return the document, with a statement for each service; it has none where no permission is needed.

    Operations whose actions are not known are left out, see `unknown_in_policy`.
    """
    by_service: dict[str, set[str]] = {}
    for use in summary.actions:
        for action in use.actions or ():
            by_service.setdefault(action.partition(":")[0], set()).add(action)
    document = {
        "Version": _VERSION,
        "Statement": [
            {
                "Sid": f"{_letters(service)}OnAllResourcesAsCsmHasNone",
                "Effect": "Allow",
                "Action": sorted(actions),
                "Resource": "*",
            }
            for service, actions in sorted(by_service.items())
        ],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def unknown_in_policy(summary: Summary) -> list[str]:
    """Return the operations whose actions are not known."""
    return [f"{use.service}.{use.api}" for use in summary.actions if use.actions is None]


def _letters(service: str) -> str:
    """Return the prefix of a service as part of a statement id, which has letters and digits only."""
    return "".join(part.capitalize() for part in service.split("-"))
