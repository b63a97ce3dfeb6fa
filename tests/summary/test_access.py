"""Whether an operation reads or changes."""

from __future__ import annotations

import pytest
from api_models import operations, reading_actions

from csm_otel.summary import access
from csm_otel.summary.access import Access, access_of
from csm_otel.summary.service_names import iam_prefix, normalised

# What we call reading, where AWS's reference has an action of the same name that writes, by the reason. There is no
# difference the other way.
DIFFERENCES = {
    "a credential, token or address to sign in with is handed out, and nothing else changes": {
        "Athena": "GetSessionEndpoint",
        "Bedrock AgentCore": "GetWorkloadAccessToken GetWorkloadAccessTokenForJWT GetWorkloadAccessTokenForUserId",
        "Cognito Identity": "GetId",
        "Cognito Identity Provider": (
            "AdminInitiateAuth AdminRespondToAuthChallenge GetTokensFromRefreshToken InitiateAuth "
            "RespondToAuthChallenge"
        ),
        "DataZone": "GetIamPortalLoginUrl",
        "ECS": "DiscoverPollEndpoint",
        "EMR": (
            "GetClusterSessionCredentials GetOnClusterAppUIPresignedURL GetPersistentAppUIPresignedURL "
            "GetSessionEndpoint"
        ),
        "EMR containers": "GetManagedEndpointSessionCredentials",
        "Lightsail": "DownloadDefaultKeyPair GetInstanceAccessDetails GetRelationalDatabaseMasterUserPassword",
        "Marketplace Metering": "ResolveCustomer",
        "Redshift": "GetClusterCredentials GetClusterCredentialsWithIAM",
        "Redshift Serverless": "GetCredentials",
        "Route 53 Domains": "RetrieveDomainAuthCode",
        "SSO OIDC": "CreateTokenWithIAM",
        "STS": (
            "AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity AssumeRoot DecodeAuthorizationMessage "
            "GetDelegatedAccessToken GetFederationToken GetWebIdentityToken"
        ),
        "Security IR": "GetCaseAttachmentUploadUrl",
        "WorkMail": "AssumeImpersonationRole",
        "deadline": (
            "AssumeFleetRoleForRead AssumeFleetRoleForWorker AssumeQueueRoleForRead AssumeQueueRoleForUser "
            "AssumeQueueRoleForWorker"
        ),
    },
    "it is computed from what the caller sends, and nothing is kept": {
        "Bedrock Agent Runtime": "Rerank RetrieveAndGenerate",
        "Bedrock AgentCore": "Evaluate",
        "KMS": (
            "Decapsulate Decrypt DeriveSharedSecret Encapsulate Encrypt GenerateDataKey GenerateDataKeyPair "
            "GenerateDataKeyPairWithoutPlaintext GenerateDataKeyWithoutPlaintext GenerateMac GenerateRandom Sign "
            "Verify VerifyMac"
        ),
        "Machine Learning": "Predict",
        "Payment Cryptography Data": (
            "DecryptData EncryptData GenerateAs2805KekValidation GenerateAuthRequestCryptogram "
            "GenerateCardValidationData GenerateMac GenerateMacEmvPinChange GeneratePinData ReEncryptData "
            "TranslateKeyMaterial TranslatePinData VerifyAuthRequestCryptogram VerifyCardValidationData VerifyMac "
            "VerifyPinData"
        ),
        "QApps": "PredictQApp",
        "Voice ID": "EvaluateSession",
    },
    "it is tested or checked, and stays as it was": {
        "AppConfig": "ValidateConfiguration",
        "Backup Gateway": "TestHypervisorConfiguration",
        "CloudFront": "TestConnectionFunction TestFunction",
        "DevOps Agent": "ValidateAwsAssociations",
        "ElastiCache": "TestMigration",
        "Glue": "TestConnection",
        "Macie2": "TestCustomDataIdentifier",
        "SES": "TestRenderTemplate",
        "SESv2": "TestRenderEmailTemplate",
        "Secrets Manager": "ValidateResourcePolicy",
        "Transfer": "TestConnection",
        "b2bi": "TestConversion TestMapping TestParsing",
    },
    "it returns what there is, and the reference's level is of something else": {
        "AppFabric": "BatchGetUserAccessTasks",
        "BCM Pricing Calculator": "ListTagsForResource",
        "Billing": "GetResourcePolicy",
        "CloudWatchOmni": "SearchPrincipals",
        "Glue": "DescribeConnectionType DescribeEntity ListConnectionTypes ListEntities",
        "IoT Data Plane": "GetConnection ListSubscriptions",
        "QuickSight": "DescribeKnowledgeBasePermissions DescribeSpacePermissions DescribeTopicPermissions",
        "Route53GlobalResolver": "ListTagsForResource",
        "Ssm Sap": "GetResourcePermission",
    },
}


@pytest.mark.parametrize(
    ("service", "api", "expected"),
    [
        pytest.param("S3", "GetObject", Access.READ, id="get"),
        pytest.param("S3", "HeadObject", Access.READ, id="head"),
        pytest.param("S3", "PutObject", Access.WRITE, id="put"),
        pytest.param("S3", "CreateSession", Access.READ, id="credentials-of-s3-express"),
        pytest.param("S3", "SelectObjectContent", Access.READ, id="select"),
        pytest.param("EC2", "DescribeInstances", Access.READ, id="describe"),
        pytest.param("EC2", "RunInstances", Access.WRITE, id="run"),
        pytest.param("IAM", "ListMFADevices", Access.READ, id="acronym-after-the-verb"),
        pytest.param("IAM", "SimulatePrincipalPolicy", Access.READ, id="simulate"),
        pytest.param("DynamoDB", "BatchGetItem", Access.READ, id="batch-read"),
        pytest.param("DynamoDB", "BatchWriteItem", Access.WRITE, id="batch-write"),
        pytest.param("DynamoDB", "TransactGetItems", Access.READ, id="transaction-read"),
        pytest.param("DynamoDB", "TransactWriteItems", Access.WRITE, id="transaction-write"),
        pytest.param("DynamoDB", "ExecuteStatement", Access.WRITE, id="a-statement-may-write"),
        pytest.param("Cognito Identity Provider", "AdminGetUser", Access.READ, id="admin-read"),
        pytest.param("Cognito Identity Provider", "AdminDeleteUser", Access.WRITE, id="admin-write"),
        pytest.param("CloudWatch Logs", "StartQuery", Access.READ, id="query-of-logs"),
        pytest.param("CloudWatch Logs", "StartImportTask", Access.WRITE, id="start"),
        pytest.param("cloudwatch-logs", "StartQuery", Access.READ, id="service-as-in-the-endpoint"),
        pytest.param("SQS", "ReceiveMessage", Access.READ, id="receive"),
        pytest.param("SWF", "PollForDecisionTask", Access.WRITE, id="poll-takes-a-task"),
        pytest.param("SFN", "GetActivityTask", Access.WRITE, id="get-takes-a-task"),
        pytest.param("License Manager", "CheckInLicense", Access.WRITE, id="check-in-is-not-check"),
        pytest.param("Lambda", "Invoke", Access.WRITE, id="invoke-may-do-anything"),
        pytest.param("Bedrock Runtime", "InvokeModel", Access.READ, id="model"),
        pytest.param("STS", "AssumeRole", Access.READ, id="credentials"),
        pytest.param("ec2metadata", "GetMetadata", Access.READ, id="instance-metadata"),
        pytest.param("S3", "getObject", Access.WRITE, id="not-a-name-of-an-operation"),
        pytest.param("", "", Access.WRITE, id="nothing"),
        pytest.param("S3", "Batch", Access.WRITE, id="no-verb"),
    ],
)
def test_access(service: str, api: str, expected: Access) -> None:
    """The first verb decides, except for a table; what is not known to read changes."""
    assert access_of(service, api) is expected


def test_access_is_that_of_the_reference() -> None:
    """Each operation has the access level of the action of its name, but for the differences that we mean."""
    reads = reading_actions()
    known = [
        (service, api, reads[action])
        for service, api, *_ in operations()
        if (action := f"{iam_prefix(service)}:{api}".lower()) in reads
    ]
    differing = {(service, api) for service, api, read in known if read != (access_of(service, api) is Access.READ)}

    assert {
        (service, api)
        for by_service in DIFFERENCES.values()
        for service, names in by_service.items()
        for api in names.split()
    } == differing
    assert all(access_of(*operation) is Access.READ for operation in differing)
    assert len(known) == 18762


def test_exceptions_exist_and_are_needed() -> None:
    """Each exception is an operation that the rule of verbs would get wrong, and each verb is in use."""
    apis = {(normalised(service), api) for service, api, *_ in operations()}
    reading = {(service, api) for service, names in access._READS.items() for api in names.split()}
    writing = {(service, api) for service, names in access._WRITES.items() for api in names.split()}

    assert reading | writing <= apis
    assert {access_of("no service", api) for _, api in reading} == {Access.WRITE}
    assert {access_of("no service", api) for _, api in writing} == {Access.READ}
    assert {verb for verb in access._READING_VERBS if not any(verb in api for _, api in apis)} == set()
