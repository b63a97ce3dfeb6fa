"""The IAM actions that a call needs, by its service and operation.

Most operations need the action of their name. What a call touches, its options and the conditions of a policy are not
in CSM: a copy within S3 may need `s3:GetObjectTagging` as well, a run of instances `iam:PassRole`.
"""

from __future__ import annotations

import re

from csm_otel.summary.action_names import OTHER_NAMES, SERVICES_WITHOUT_ACTIONS, WITHOUT_ACTIONS
from csm_otel.summary.service_names import iam_prefix, normalised
from csm_otel.summary.unknown_actions import SERVICES_UNKNOWN, UNKNOWN

_ACTION = re.compile(r"[a-z0-9-]+:[A-Za-z0-9]+")  # senders may call their services and operations anything
_VERB = re.compile(r"[A-Z][a-z]*")
# API Gateway's actions are the HTTP methods of its operations, which follow from their verbs.
_METHODS = {
    "Create": "POST",
    "Delete": "DELETE",
    "Export": "GET",
    "Flush": "DELETE",
    "Generate": "POST",
    "Get": "GET",
    "Import": "PUT",
    "Put": "PUT",
    "Reimport": "PUT",
    "Reset": "DELETE",
    "Tag": "PUT",
    "Test": "POST",
    "Untag": "DELETE",
    "Update": "PATCH",
}
_OTHER_METHODS = {
    ("apigateway", "ImportApiKeys"): "POST",
    ("apigateway", "ImportRestApi"): "POST",
    ("apigatewayv2", "TagResource"): "POST",
}
# The later resources of API Gateway have actions of their own.
_NAMED_IN_API_GATEWAY = re.compile(r"Portal|ProductPage|ProductRestEndpointPage|RoutingRule")


def actions_of(service: str, api: str) -> tuple[str, ...] | None:
    """Return the IAM actions that a call needs, none where it needs no permission, or None where they are not known.

    An operation that is newer than this version is taken to need the action of its name. The case of an action may
    differ from that in AWS's documents, which IAM ignores. Where the content of a call decides, all actions that it
    may need are returned.
    """
    name = normalised(service)
    if name in SERVICES_WITHOUT_ACTIONS or api in WITHOUT_ACTIONS.get(name, "").split():
        return ()
    if name in SERVICES_UNKNOWN or api in UNKNOWN.get(name, "").split():
        return None
    prefix = iam_prefix(service)
    if names := OTHER_NAMES.get(name, {}).get(api):
        return tuple(one if ":" in one else f"{prefix}:{one}" for one in names.split())
    method = _method_of(name, api) if name in {"apigateway", "apigatewayv2"} else None
    action = f"{prefix}:{method or api}"
    return (action,) if _ACTION.fullmatch(action) else None


def _method_of(name: str, api: str) -> str | None:
    if _NAMED_IN_API_GATEWAY.search(api):
        return None
    verb = _VERB.match(api)
    return _OTHER_METHODS.get((name, api)) or (_METHODS.get(verb.group()) if verb else None)
