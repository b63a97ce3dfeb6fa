"""The operations whose IAM actions are not known."""

from __future__ import annotations

from api_models import operations, reading_actions

from csm_otel.summary.action_names import OTHER_NAMES, WITHOUT_ACTIONS
from csm_otel.summary.service_names import iam_prefix, normalised
from csm_otel.summary.unknown_actions import SERVICES_UNKNOWN, UNKNOWN


def test_unknown_are_those_without_an_action() -> None:
    """Each is an operation that exists, of which neither IAM's actions nor the other tables have anything."""
    services = {normalised(service): service for service, *_ in operations()}
    apis = {(normalised(service), api) for service, api, *_ in operations()}
    unknown = {(service, api) for service, names in UNKNOWN.items() for api in names.split()}

    assert unknown <= apis
    assert not [one for one in unknown if f"{iam_prefix(services[one[0]])}:{one[1]}".lower() in reading_actions()]
    assert not [(service, api) for service, api in unknown if api in OTHER_NAMES.get(service, {})]
    assert not [(service, api) for service, api in unknown if api in WITHOUT_ACTIONS.get(service, "").split()]
    assert SERVICES_UNKNOWN <= set(services)


def test_table_is_sorted() -> None:
    """Services and their operations are in order."""
    assert sorted(UNKNOWN) == list(UNKNOWN)
    assert [sorted(names.split()) for names in UNKNOWN.values()] == [names.split() for names in UNKNOWN.values()]
