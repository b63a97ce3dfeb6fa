"""The IAM actions of operations whose names are others, and the operations that need none.

Services have their normalised names. The source is what the API model of an operation says on its permissions, and
AWS's service authorization reference.
"""

from __future__ import annotations

from csm_otel.summary.action_names_of_s3 import OF_S3

# Separated by blanks; the prefix is the service's own where there is none. What the content of a call decides, such as
# the statement of PartiQL, is listed whole.
OTHER_NAMES = {
    **OF_S3,
    "accessanalyzer": {
        "GetFindingV2": "GetFinding",
        "ListFindingsV2": "ListFindings",
    },
    "apigatewaymanagementapi": {
        "DeleteConnection": "ManageConnections",
        "GetConnection": "ManageConnections",
        "PostToConnection": "ManageConnections",
    },
    "apigatewayv2": {
        "PutRoutingRule": "UpdateRoutingRule",
    },
    "batch": {
        "CancelJobs": "CancelJob",
        "TerminateJobs": "TerminateJob",
        "TerminateServiceJobs": "TerminateServiceJob",
    },
    "bcmpricingcalculator": {
        "BatchCreateBillScenarioCommitmentModification": "CreateBillScenarioCommitmentModification",
        "BatchCreateBillScenarioUsageModification": "CreateBillScenarioUsageModification",
        "BatchCreateWorkloadEstimateUsage": "CreateWorkloadEstimateUsage",
        "BatchDeleteBillScenarioCommitmentModification": "DeleteBillScenarioCommitmentModification",
        "BatchDeleteBillScenarioUsageModification": "DeleteBillScenarioUsageModification",
        "BatchDeleteWorkloadEstimateUsage": "DeleteWorkloadEstimateUsage",
        "BatchUpdateBillScenarioCommitmentModification": "UpdateBillScenarioCommitmentModification",
        "BatchUpdateBillScenarioUsageModification": "UpdateBillScenarioUsageModification",
        "BatchUpdateWorkloadEstimateUsage": "UpdateWorkloadEstimateUsage",
    },
    "bedrockagentruntime": {
        "RetrieveAndGenerateStream": "RetrieveAndGenerate",
    },
    "bedrockruntime": {
        "Converse": "InvokeModel",
        "ConverseStream": "InvokeModelWithResponseStream",
        "StartAsyncInvoke": "InvokeModel",
    },
    "budgets": {
        "CreateBudget": "ModifyBudget",
        "CreateNotification": "ModifyBudget",
        "CreateSubscriber": "ModifyBudget",
        "DeleteBudget": "ModifyBudget",
        "DeleteNotification": "ModifyBudget",
        "DeleteSubscriber": "ModifyBudget",
        "DescribeBudget": "ViewBudget",
        "DescribeBudgetNotificationsForAccount": "ViewBudget",
        "DescribeBudgetPerformanceHistory": "ViewBudget",
        "DescribeBudgets": "ViewBudget",
        "DescribeNotificationsForBudget": "ViewBudget",
        "DescribeSubscribersForNotification": "ViewBudget",
        "UpdateBudget": "ModifyBudget",
        "UpdateNotification": "ModifyBudget",
        "UpdateSubscriber": "ModifyBudget",
    },
    "cloudfront": {
        "CreateDistributionWithTags": "CreateDistribution TagResource",
    },
    "cloudsearchdomain": {
        "UploadDocuments": "document",
    },
    "cloudtrail": {
        "ListInsightsMetricData": "ListInsightsData LookupEvents",
    },
    "connectcases": {
        "BatchCreateRelatedItem": "CreateRelatedItem",
        "BatchUpdateCase": "UpdateCase",
    },
    "databasemigrationservice": {
        "DescribeDataProviders": "ListDataProviders",
        "DescribeExtensionPackAssociations": "ListExtensionPacks",
        "DescribeInstanceProfiles": "ListInstanceProfiles",
        "DescribeMetadataModelAssessments": "ListMetadataModelAssessments",
        "DescribeMetadataModelConversions": "ListMetadataModelConversions",
        "DescribeMetadataModelExportsAsScript": "ListMetadataModelExports",
        "DescribeMetadataModelExportsToTarget": "ListMetadataModelExports",
        "DescribeMigrationProjects": "ListMigrationProjects",
        "ModifyConversionConfiguration": "UpdateConversionConfiguration",
        "ModifyDataProvider": "UpdateDataProvider",
        "ModifyInstanceProfile": "UpdateInstanceProfile",
        "ModifyMigrationProject": "UpdateMigrationProject",
        "StartExtensionPackAssociation": "AssociateExtensionPack",
        "StartMetadataModelExportAsScript": "StartMetadataModelExportAsScripts",
    },
    "dynamodb": {
        "BatchExecuteStatement": "PartiQLDelete PartiQLInsert PartiQLSelect PartiQLUpdate",
        "ExecuteStatement": "PartiQLDelete PartiQLInsert PartiQLSelect PartiQLUpdate",
        "ExecuteTransaction": "PartiQLDelete PartiQLInsert PartiQLSelect PartiQLUpdate",
        "TransactGetItems": "GetItem",
        "TransactWriteItems": "ConditionCheckItem DeleteItem PutItem UpdateItem",
    },
    "ecr": {
        "ListImageReferrers": "BatchGetImage",
    },
    "elasticbeanstalk": {
        "UpdateTagsForResource": "AddTags RemoveTags",
    },
    "glue": {
        "GetUnfilteredPartitionMetadata": "GetPartition",
        "GetUnfilteredPartitionsMetadata": "GetPartitions",
        "GetUnfilteredTableMetadata": "GetTable",
    },
    "keyspaces": {
        "CreateKeyspace": "Create",
        "CreateTable": "Create",
        "DeleteKeyspace": "Drop",
        "DeleteTable": "Drop",
        "GetKeyspace": "Select",
        "GetTable": "Select",
        "GetTableAutoScalingSettings": (
            "application-autoscaling:DescribeScalableTargets application-autoscaling:DescribeScalingPolicies"
        ),
        "GetType": "Select",
        "ListKeyspaces": "Select",
        "ListTables": "Select",
        "ListTagsForResource": "Select",
        "ListTypes": "Select",
        "UpdateKeyspace": (
            "Alter AlterMultiRegionResource Create CreateMultiRegionResource "
            "Modify ModifyMultiRegionResource Select SelectMultiRegionResource"
        ),
        "UpdateTable": "Alter",
    },
    "kms": {
        "ReEncrypt": "ReEncryptFrom ReEncryptTo",
    },
    "lakeformation": {
        "GetGlueFunctionSessionContext": "GetDataAccess",
    },
    "lambda": {
        "GetLayerVersionByArn": "GetLayerVersion",
        "Invoke": "InvokeFunction",
        "InvokeWithResponseStream": "InvokeFunction",
    },
    "lexmodelsv2": {
        "ListUtteranceAnalyticsData": "ListAggregatedUtterances",
        "ListUtteranceMetrics": "ListAggregatedUtterances",
    },
    "marketplacecatalog": {
        "BatchDescribeEntities": "DescribeEntity",
    },
    "neptunedata": {
        "CancelGremlinQuery": "CancelQuery",
        "CancelOpenCypherQuery": "CancelQuery",
        "DeletePropertygraphStatistics": "DeleteStatistics",
        "DeleteSparqlStatistics": "DeleteStatistics",
        "ExecuteFastReset": "ResetDatabase",
        "ExecuteGremlinExplainQuery": "DeleteDataViaQuery ReadDataViaQuery WriteDataViaQuery",
        "ExecuteGremlinProfileQuery": "ReadDataViaQuery",
        "ExecuteGremlinQuery": "DeleteDataViaQuery ReadDataViaQuery WriteDataViaQuery",
        "ExecuteOpenCypherExplainQuery": "ReadDataViaQuery",
        "ExecuteOpenCypherQuery": "DeleteDataViaQuery ReadDataViaQuery WriteDataViaQuery",
        "GetGremlinQueryStatus": "GetQueryStatus",
        "GetMLDataProcessingJob": "GetMLDataProcessingJobStatus",
        "GetMLEndpoint": "GetMLEndpointStatus",
        "GetMLModelTrainingJob": "GetMLModelTrainingJobStatus",
        "GetMLModelTransformJob": "GetMLModelTransformJobStatus",
        "GetOpenCypherQueryStatus": "GetQueryStatus",
        "GetPropertygraphStatistics": "GetStatisticsStatus",
        "GetPropertygraphStream": "GetStreamRecords",
        "GetPropertygraphSummary": "GetGraphSummary",
        "GetRDFGraphSummary": "GetGraphSummary",
        "GetSparqlStatistics": "GetStatisticsStatus",
        "GetSparqlStream": "GetStreamRecords",
        "ListGremlinQueries": "GetQueryStatus",
        "ListOpenCypherQueries": "GetQueryStatus",
        "ManagePropertygraphStatistics": "ManageStatistics",
        "ManageSparqlStatistics": "ManageStatistics",
    },
    "neptunegraph": {
        "ExecuteQuery": "DeleteDataViaQuery ReadDataViaQuery WriteDataViaQuery",
        "GetQuery": "GetQueryStatus",
    },
    "observabilityadmin": {
        "StartThirdPartyTelemetryEnrichment": "config:PutThirdPartyServiceLinkedConfigurationRecorder",
        "StopThirdPartyTelemetryEnrichment": "config:DeleteServiceLinkedConfigurationRecorder",
    },
    "qapps": {
        "CreatePresignedUrl": "ImportDocument",
    },
    "sagemakerruntime": {
        "InvokeEndpointWithResponseStream": "InvokeEndpoint",
    },
    "securityhub": {
        "BatchUpdateFindingsV2": "BatchUpdateFindings",
        "GetFindingStatisticsV2": "GetAdhocInsightResults",
        "GetFindingsV2": "GetFindings",
        "RegisterConnectorV2": "ConnectorRegistrationsV2",
    },
    "sns": {
        "PublishBatch": "Publish",
    },
    "sqs": {
        "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
        "DeleteMessageBatch": "DeleteMessage",
        "SendMessageBatch": "SendMessage",
    },
    "ssm": {
        "DeregisterDefaultHostManagementConfiguration": "GetServiceSetting ResetServiceSetting",
        "RegisterDefaultHostManagementConfiguration": "iam:GetRole iam:PassRole GetServiceSetting UpdateServiceSetting",
    },
    "taxsettings": {
        "BatchGetTaxExemptions": "GetExemptions",
        "GetTaxExemptionTypes": "GetExemptions",
        "ListTaxExemptions": "GetExemptions",
        "PutTaxExemption": "UpdateExemptions",
    },
    "timestreamquery": {
        "Query": "Select",
    },
    "verifiedpermissions": {
        "BatchGetPolicy": "GetPolicy",
        "BatchIsAuthorized": "IsAuthorized",
        "BatchIsAuthorizedWithToken": "IsAuthorizedWithToken",
    },
    "vpclattice": {
        "BatchUpdateRule": "UpdateRule",
    },
}

# Signed by nobody, or with the token of a user instead of credentials; and two that IAM does not deny.
WITHOUT_ACTIONS = {
    "cognitoidentity": "GetCredentialsForIdentity GetId GetOpenIdToken UnlinkIdentity",
    "cognitoidentityprovider": (
        "AssociateSoftwareToken ChangePassword CompleteWebAuthnRegistration ConfirmDevice ConfirmForgotPassword "
        "ConfirmSignUp DeleteUser DeleteUserAttributes DeleteWebAuthnCredential ForgetDevice ForgotPassword "
        "GetClientToken GetDevice GetTokensFromRefreshToken GetUser GetUserAttributeVerificationCode "
        "GetUserAuthFactors GlobalSignOut InitiateAuth ListDevices ListUserSessions ListWebAuthnCredentials "
        "ResendConfirmationCode RespondToAuthChallenge RevokeToken RevokeUserSession SetUserMFAPreference "
        "SetUserSettings SignUp StartWebAuthnRegistration UpdateAuthEventFeedback UpdateDeviceStatus "
        "UpdateUserAttributes VerifySoftwareToken VerifyUserAttribute"
    ),
    "ssooidc": "CreateToken RegisterClient StartDeviceAuthorization",
    "sts": "AssumeRoleWithSAML AssumeRoleWithWebIdentity GetCallerIdentity GetSessionToken",
}
SERVICES_WITHOUT_ACTIONS = frozenset(
    {"accountaccessruntime", "codecatalyst", "connectparticipant", "ec2metadata", "sso"}
)
