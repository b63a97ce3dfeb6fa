"""The names of services."""

from __future__ import annotations

import pytest
from api_models import operations, reading_actions

from csm_otel.summary import service_names
from csm_otel.summary.service_names import iam_prefix, normalised


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        pytest.param("S3", "s3", id="s3"),
        pytest.param("CloudWatch Logs", "cloudwatchlogs", id="blanks"),
        pytest.param("application-autoscaling", "applicationautoscaling", id="endpoint"),
        pytest.param("ec2metadata", "ec2metadata", id="instance-metadata"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_normalised_name(service: str, expected: str) -> None:
    """Case, blanks and hyphens make no difference."""
    assert normalised(service) == expected


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        pytest.param("S3", "s3", id="lower-case"),
        pytest.param("Cognito Identity", "cognito-identity", id="blanks-become-hyphens"),
        pytest.param("CloudWatch", "cloudwatch", id="cloudwatch-is-not-monitoring"),
        pytest.param("CloudWatch Logs", "logs", id="logs"),
        pytest.param("EventBridge", "events", id="events"),
        pytest.param("CloudWatch Events", "events", id="former-name"),
        pytest.param("SFN", "states", id="states"),
        pytest.param("SESv2", "ses", id="second-version"),
        pytest.param("EFS", "elasticfilesystem", id="efs"),
        pytest.param("Auto Scaling", "autoscaling", id="neither-blank-nor-hyphen"),
        pytest.param("New Service", "new-service", id="not-known"),
    ],
)
def test_prefix(service: str, expected: str) -> None:
    """The prefix of IAM is the name with hyphens, except for a table."""
    assert iam_prefix(service) == expected


def test_prefixes_exist() -> None:
    """Each service has a prefix that IAM knows, but for those without actions."""
    prefixes = {action.partition(":")[0] for action in reading_actions()}

    assert {service for service, *_ in operations() if iam_prefix(service) not in prefixes} == {
        "ApplicationCostProfiler",
        "ConnectParticipant",
        "IoTThingsGraph",
        "OpenSearchMemory",
    }


def test_table_has_what_the_rule_does_not() -> None:
    """The table is sorted, of services that exist, and has none that the rule gets right."""
    table = service_names._PREFIXES
    services = {normalised(service): service for service, *_ in operations()}

    assert sorted(table) == list(table)
    assert set(table) - set(services) == {"cloudwatchevents", "email", "monitoring"}
    assert not [name for name in table if table[name] == "-".join(services.get(name, "").lower().split())]
