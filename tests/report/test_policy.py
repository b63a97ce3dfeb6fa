"""The policy document: what it allows, its grammar, and that IAM's own checks, as moto has them, accept it."""

from __future__ import annotations

import json
import re
from typing import Any

import boto3
import pytest
from moto import mock_aws
from traced import traced

from csm_otel.report.policy import render_policy, unknown_in_policy
from csm_otel.summary.builder import SummaryBuilder


def policy_of(*operations: str) -> dict[str, Any]:
    """Return the document of a run with one call of each operation."""
    builder = SummaryBuilder()
    for number, operation in enumerate(operations):
        builder.add([traced(operation, number, number + 1)])
    document: dict[str, Any] = json.loads(render_policy(builder.build()))
    return document


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        pytest.param([], [], id="no-calls"),
        pytest.param(["STS.GetCallerIdentity"], [], id="none-needed"),
        pytest.param(["SQS.SendMessage"], [["sqs:SendMessage"]], id="one"),
        pytest.param(["S3.HeadObject", "S3.GetObject"], [["s3:GetObject"]], id="same-action"),
        pytest.param(
            ["SQS.SendMessage", "DynamoDB.PutItem", "SQS.ReceiveMessage"],
            [["dynamodb:PutItem"], ["sqs:ReceiveMessage", "sqs:SendMessage"]],
            id="sorted",
        ),
        pytest.param(['X".<b>'], [], id="no-action"),
    ],
)
def test_actions(operations: list[str], expected: list[list[str]]) -> None:
    """Each service has a statement with the actions that its calls need, on all resources."""
    document = policy_of(*operations)

    assert [statement["Action"] for statement in document["Statement"]] == expected
    assert all((one["Effect"], one["Resource"]) == ("Allow", "*") for one in document["Statement"])


def test_statement_ids() -> None:
    """They say what is missing, in the letters that IAM allows."""
    ids = [one["Sid"] for one in policy_of("API Gateway.GetRestApis", "S3.GetObject", "ECS.RunTask")["Statement"]]

    assert all(re.fullmatch(r"[A-Za-z0-9]+", one) for one in ids)
    assert ids[-1] == "S3OnAllResourcesAsCsmHasNone"


def test_unknown() -> None:
    """Operations whose actions are not known are named."""
    builder = SummaryBuilder()
    builder.add([traced("S3.<b>", 0, 1)])
    builder.add([traced("S3.GetObject", 1, 2)])

    assert unknown_in_policy(builder.build()) == ["S3.<b>"]


def test_it_is_accepted() -> None:
    """IAM's rules for documents hold."""
    document = json.dumps(policy_of("S3.GetObject", "SQS.SendMessage", "CloudWatch Logs.CreateLogGroup"))
    with mock_aws():
        created = boto3.client("iam", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        assert created.create_policy(PolicyName="run", PolicyDocument=document)["Policy"]["Arn"].endswith("/run")
        with pytest.raises(created.exceptions.MalformedPolicyDocumentException):
            created.create_policy(PolicyName="other", PolicyDocument=document.replace('"*"', '"all"'))
