"""Whether an operation reads or changes, by its name."""

from __future__ import annotations

import re
from enum import StrEnum

from csm_otel.summary.service_names import normalised

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z][a-z0-9]*")
# These say how or by whom, and precede the verb: BatchGetItem, AdminDeleteUser, TransactWriteItems.
_BEFORE_THE_VERB = frozenset({"Admin", "Batch", "Transact"})
_READING_VERBS = frozenset({
    "Analyze", "Assume", "Autocomplete", "Calculate", "Chat", "Check", "Classify", "Compare", "Contains", "Converse",
    "Count", "Decode", "Describe", "Detect", "Discover", "Download", "Estimate", "Evaluate", "Filter", "Forecast",
    "Geocode", "Get", "Head", "Infer", "Introspect", "Is", "List", "Lookup", "Predict", "Preview", "Probe", "Query",
    "Read", "Receive", "Recognize", "Render", "Rerank", "Rescore", "Resolve", "Retrieve", "Scan", "Search", "Select",
    "Simulate", "Snap", "Suggest", "Synthesize", "Test", "Translate", "Validate", "View",
})  # fmt: skip

# The operations whose verb misleads, by normalised service. A credential, a token, a signature or a computation on what
# the caller sends changes nothing that a reader would look for; a test that calls or triggers something else may.
_READS = {
    "acm": "ExportCertificate",
    "amplifyuibuilder": "ExportComponents ExportForms ExportThemes",
    "artifact": "ExportComplianceInquiry",
    "backup": "ExportBackupPlanTemplate",
    "bedrock": "ExportAutomatedReasoningPolicyVersion",
    "bedrockagentcore": "CompleteResourceTokenAuth",
    "bedrockagentruntime": (
        "AgenticRetrieveStream GenerateQuery InvokeAgent InvokeFlow InvokeInlineAgent OptimizePrompt"
    ),
    "bedrockruntime": (
        "ApplyGuardrail InvokeGuardrailChecks InvokeModel InvokeModelWithBidirectionalStream "
        "InvokeModelWithResponseStream"
    ),
    "cloudfront": "VerifyDnsConfiguration",
    "cloudwatchlogs": "StartLiveTail StartQuery StopQuery",
    "cognitoidentityprovider": "AdminInitiateAuth AdminRespondToAuthChallenge InitiateAuth RespondToAuthChallenge",
    "configservice": "DeliverConfigSnapshot",
    "deadline": "StartSessionsStatisticsAggregation",
    "devopsguru": "StartCostEstimation",
    "directoryservice": "VerifyTrust",
    "ec2": (
        "ExportClientVpnClientCertificateRevocationList ExportClientVpnClientConfiguration "
        "ExportVerifiedAccessInstanceClientConfiguration StartDeclarativePoliciesReport"
    ),
    "elasticbeanstalk": "RequestEnvironmentInfo",
    "elementalinference": "ExportDictionaryEntries",
    "gamelift": "RequestUploadCredentials",
    "geoplaces": "ReverseGeocode",
    "georoutes": "OptimizeWaypoints",
    "iam": "GenerateCredentialReport GenerateOrganizationsAccessReport GenerateServiceLastAccessedDetails",
    "internetmonitor": "StartQuery StopQuery",
    "iotsitewise": "ExecuteQuery InvokeAssistant",
    "iottwinmaker": "ExecuteQuery",
    "kinesis": "SubscribeToShard",
    "kinesisanalyticsv2": "CreateApplicationPresignedUrl",
    "kms": (
        "Decapsulate Decrypt DeriveSharedSecret Encapsulate Encrypt GenerateDataKey GenerateDataKeyPair "
        "GenerateDataKeyPairWithoutPlaintext GenerateDataKeyWithoutPlaintext GenerateMac GenerateRandom ReEncrypt "
        "Sign Verify VerifyMac"
    ),
    "lexmodelsv2": "GenerateBotElement",
    "location": "VerifyDevicePosition",
    "paymentcryptographydata": (
        "DecryptData EncryptData GenerateAs2805KekValidation GenerateAuthRequestCryptogram GenerateCardValidationData "
        "GenerateMac GenerateMacEmvPinChange GeneratePinData ReEncryptData VerifyAuthRequestCryptogram "
        "VerifyCardValidationData VerifyMac VerifyPinData"
    ),
    "pinpoint": "PhoneNumberValidate",
    "pinpointsmsvoicev2": "CarrierLookup",
    "polly": "StartSpeechSynthesisStream",
    "s3": "CreateSession",
    "sagemaker": "CreateHubContentPresignedUrls",
    "sagemakerruntime": "InvokeEndpoint InvokeEndpointAsync InvokeEndpointWithResponseStream",
    "schemas": "ExportSchema",
    "servicequotas": "StartQuotaUtilizationReport",
    "signin": "CreateBearerToken CreateOAuth2Token CreateOAuth2TokenWithIAM CreateOAuth2TokenWithTokenExchange",
    "simpledb": "DomainMetadata",
    "ssm": "StartExecutionPreview",
    "ssooidc": "CreateToken CreateTokenWithIAM",
    "timestreamquery": "PrepareQuery",
    "wafv2": "GenerateMobileSdkReleaseUrl",
    "wellarchitected": "ExportLens",
    "xray": "CancelTraceRetrieval StartTraceRetrieval",
}
_WRITES = {
    "apigateway": "TestInvokeAuthorizer TestInvokeMethod",
    "apigatewayv2": "PreviewPortal",
    "cloudformation": "TestType",
    "codecommit": "TestRepositoryTriggers",
    "elasticache": "TestFailover",
    "endusermessaging": "ValidateNotifyCodeVerification",
    "iotwireless": "TestWirelessDevice",
    "lexruntimev2": "RecognizeText RecognizeUtterance",
    "licensemanager": "CheckInLicense",
    "lightsail": "TestAlarm",
    "location": "BatchEvaluateGeofences",
    "resiliencehub": "ResolveAppVersionResources",
    "sfn": "GetActivityTask TestState",
    "socialmessaging": "GetWhatsAppMessageMedia",
    "storagegateway": "RetrieveTapeArchive RetrieveTapeRecoveryPoint",
    "support": "ResolveCase",
}


class Access(StrEnum):
    """What an operation does to the resources of AWS."""

    READ = "read"
    WRITE = "write"


def access_of(service: str, api: str) -> Access:
    """Return whether an operation reads or changes; it changes where its name does not tell.

    Access levels are those of AWS's service authorization reference, but for credentials, cryptography and the like
    (tests/summary/test_access.py has each difference).
    """
    name = normalised(service)
    if api in _READS.get(name, "").split():
        return Access.READ
    if api in _WRITES.get(name, "").split():
        return Access.WRITE
    verb = next((word for word in _WORD.findall(api) if word not in _BEFORE_THE_VERB), "")
    return Access.READ if verb in _READING_VERBS else Access.WRITE
