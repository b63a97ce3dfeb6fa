"""The table of IAM actions with other names than their operations."""

from __future__ import annotations

from api_models import operations

from csm_otel.summary.action_names import OTHER_NAMES, SERVICES_WITHOUT_ACTIONS, WITHOUT_ACTIONS
from csm_otel.summary.service_names import normalised


def test_operations_exist() -> None:
    """The tables are of operations that exist, each in one table only."""
    apis = {(normalised(service), api) for service, api, *_ in operations()}
    other = {(service, api) for service, names in OTHER_NAMES.items() for api in names}
    none = {(service, api) for service, names in WITHOUT_ACTIONS.items() for api in names.split()}

    assert other | none <= apis
    assert not other & none
    assert SERVICES_WITHOUT_ACTIONS - {service for service, _ in apis} == {"ec2metadata"}
    assert not SERVICES_WITHOUT_ACTIONS & {*OTHER_NAMES, *WITHOUT_ACTIONS}


def test_other_names_are_other_names() -> None:
    """No operation is listed with the action of its own name alone, as that is the rule."""
    assert not [(service, api) for service, names in OTHER_NAMES.items() for api in names if names[api] == api]


def test_tables_are_sorted() -> None:
    """Services and their operations are in order."""
    assert sorted(WITHOUT_ACTIONS) == list(WITHOUT_ACTIONS)
    for names in OTHER_NAMES.values():
        assert sorted(names) == list(names)
    for apis in WITHOUT_ACTIONS.values():
        assert sorted(apis.split()) == apis.split()
