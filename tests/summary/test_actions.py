"""The IAM actions that a call needs."""

from __future__ import annotations

from collections import Counter

import pytest
from api_models import operations, reading_actions

from csm_otel.summary.actions import actions_of
from csm_otel.summary.service_names import normalised

_PARTIQL = ("dynamodb:PartiQLDelete", "dynamodb:PartiQLInsert", "dynamodb:PartiQLSelect", "dynamodb:PartiQLUpdate")
_API_GATEWAY = {"apigateway", "apigatewayv2"}


@pytest.mark.parametrize(
    ("service", "api", "expected"),
    [
        pytest.param("S3", "GetObject", ("s3:GetObject",), id="own-name"),
        pytest.param("S3", "HeadObject", ("s3:GetObject",), id="s3-head"),
        pytest.param("S3", "ListObjectsV2", ("s3:ListBucket",), id="s3-list"),
        pytest.param("S3", "ListBuckets", ("s3:ListAllMyBuckets",), id="s3-buckets"),
        pytest.param("S3", "UploadPart", ("s3:PutObject",), id="s3-multipart"),
        pytest.param("S3", "CopyObject", ("s3:GetObject", "s3:PutObject"), id="s3-copy"),
        pytest.param("S3", "CreateSession", ("s3express:CreateSession",), id="s3-express"),
        pytest.param("S3 Control", "GetPublicAccessBlock", ("s3:GetAccountPublicAccessBlock",), id="s3-control"),
        pytest.param("S3 Control", "GetBucketPolicy", ("s3-outposts:GetBucketPolicy",), id="s3-on-outposts"),
        pytest.param("EC2", "DescribeInstances", ("ec2:DescribeInstances",), id="ec2"),
        pytest.param("CloudWatch", "PutMetricData", ("cloudwatch:PutMetricData",), id="cloudwatch"),
        pytest.param("CloudWatch Logs", "StartQuery", ("logs:StartQuery",), id="logs"),
        pytest.param("SFN", "StartExecution", ("states:StartExecution",), id="states"),
        pytest.param("SESv2", "SendEmail", ("ses:SendEmail",), id="second-version"),
        pytest.param("application-autoscaling", "PutScalingPolicy", ("application-autoscaling:PutScalingPolicy",),
                     id="service-as-in-the-endpoint"),
        pytest.param("SQS", "SendMessageBatch", ("sqs:SendMessage",), id="batch-of-sqs"),
        pytest.param("SNS", "PublishBatch", ("sns:Publish",), id="batch-of-sns"),
        pytest.param("DynamoDB", "BatchGetItem", ("dynamodb:BatchGetItem",), id="batch-of-its-own"),
        pytest.param("DynamoDB", "TransactGetItems", ("dynamodb:GetItem",), id="transaction-read"),
        pytest.param("DynamoDB", "TransactWriteItems",
                     ("dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"),
                     id="transaction-write"),
        pytest.param("DynamoDB", "ExecuteStatement", _PARTIQL, id="partiql"),
        pytest.param("Lambda", "Invoke", ("lambda:InvokeFunction",), id="lambda"),
        pytest.param("Bedrock Runtime", "Converse", ("bedrock:InvokeModel",), id="bedrock"),
        pytest.param("KMS", "ReEncrypt", ("kms:ReEncryptFrom", "kms:ReEncryptTo"), id="kms"),
        pytest.param("Timestream Query", "Query", ("timestream:Select",), id="timestream"),
        pytest.param("Budgets", "DescribeBudgets", ("budgets:ViewBudget",), id="budgets-read"),
        pytest.param("Budgets", "CreateBudget", ("budgets:ModifyBudget",), id="budgets-write"),
        pytest.param("API Gateway", "GetRestApis", ("apigateway:GET",), id="api-gateway"),
        pytest.param("ApiGatewayV2", "ListPortals", ("apigateway:ListPortals",), id="api-gateway-own-name"),
        pytest.param("ApiGatewayManagementApi", "PostToConnection", ("execute-api:ManageConnections",), id="websocket"),
        pytest.param("CloudControl", "GetResource", ("cloudformation:GetResource",), id="cloud-control"),
        pytest.param("STS", "AssumeRole", ("sts:AssumeRole",), id="assume-role"),
        pytest.param("STS", "GetCallerIdentity", (), id="none-needed"),
        pytest.param("STS", "AssumeRoleWithWebIdentity", (), id="unsigned"),
        pytest.param("SSO", "GetRoleCredentials", (), id="token-of-a-user"),
        pytest.param("ec2metadata", "GetMetadata", (), id="instance-metadata"),
        pytest.param("Health", "DescribeTags", None, id="unknown-operation"),
        pytest.param("IoTThingsGraph", "GetEntities", None, id="unknown-service"),
        pytest.param("New Service", "GetThing", ("new-service:GetThing",), id="newer-than-this-version"),
        pytest.param("API Gateway", "Sing", ("apigateway:Sing",), id="newer-operation-of-api-gateway"),
        pytest.param("API Gateway", "1", ("apigateway:1",), id="no-verb"),
        pytest.param("", "GetThing", None, id="no-service"),
        pytest.param("S3", "", None, id="no-operation"),
        pytest.param("S3", "*", None, id="wildcard"),
        pytest.param("S3", "Get Object", None, id="several-words"),
        pytest.param("S3", "iam:PassRole", None, id="foreign-action"),
        pytest.param("<b>", "GetObject", None, id="markup"),
        pytest.param("S3\n", "GetÖbject", None, id="not-ascii"),
    ],
)  # fmt: skip
def test_actions(service: str, api: str, expected: tuple[str, ...] | None) -> None:
    """Most operations need the action of their name; what is no name gives none."""
    assert actions_of(service, api) == expected


def test_actions_exist() -> None:
    """IAM has each action that is returned for an operation of any service."""
    returned = {actions for service, api, *_ in operations() if (actions := actions_of(service, api))}

    assert {one for actions in returned for one in actions if one.lower() not in reading_actions()} == set()
    assert [actions for actions in returned if list(actions) != sorted(set(actions))] == []


def test_how_many_are_known() -> None:
    """The actions of nearly all operations are known, and for each that is not IAM has none of its name."""
    found = Counter(
        "unknown" if actions is None else "needed" if actions else "none needed"
        for service, api, *_ in operations()
        for actions in (actions_of(service, api),)
    )

    assert found == {"needed": 19135, "none needed": 101, "unknown": 560}


def test_unsigned_operations_need_none() -> None:
    """An operation without a signature is authorised by something else than the caller's IAM actions."""
    unsigned = {(one.service, one.api) for one in operations() if one.unsigned}

    assert {one for one in unsigned if actions_of(*one) != ()} == {
        # They take the place of credentials that have these permissions.
        ("Signin", "CreateOAuth2Token"),
        ("Signin", "CreateOAuth2TokenWithTokenExchange"),
    }
    assert {
        (one.service, one.api)
        for one in operations()
        if actions_of(one.service, one.api) == () and not one.unsigned and one.service != "ConnectParticipant"
    } == {("Cognito Identity Provider", "GetClientToken"), ("STS", "GetCallerIdentity"), ("STS", "GetSessionToken")}


def test_actions_of_api_gateway_are_methods() -> None:
    """Each operation of API Gateway needs the action of its HTTP method, but for those with names of their own."""
    named = {"Portal", "ProductPage", "ProductRestEndpointPage", "RoutingRule"}
    methods = [
        (one, actions)
        for one in operations()
        if normalised(one.service) in _API_GATEWAY
        and not any(name in one.api for name in named)
        and (actions := actions_of(one.service, one.api))
    ]

    assert [one.api for one, actions in methods if actions != (f"apigateway:{one.method}",)] == []
    assert len(methods) == 194
