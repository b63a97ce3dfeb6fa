"""The operations whose IAM actions are not known: neither has IAM one of their name, nor does their API model tell.

Many are newer than the service authorization reference. A test compares with it, so that they leave this list when it
has them. Services have their normalised names.
"""

from __future__ import annotations

UNKNOWN = {
    "agentregistry": "BatchGetDiscoverableRegistryRecord",
    "apigateway": "CreateDomainNameAccessAssociation RejectDomainNameAccessAssociation",
    "appstream": "DrainSessionInstance UpdateImageBuilder",
    "athena": (
        "CreateSystemTableConfiguration DeleteSystemTableConfiguration GetSystemTableConfiguration "
        "ListSystemTableStatuses UpdateSystemTableConfiguration"
    ),
    "bedrockagent": "CreateVpcConfiguration DeleteVpcConfiguration GetVpcConfiguration ListVpcConfigurations",
    "bedrockagentcore": (
        "DeleteDatasetGeneration GetAgentInsight GetDatasetGeneration InvokeBrowser ListAgentInsights "
        "ListDatasetGenerations StartDatasetGeneration UpdateAgentInsight"
    ),
    "bedrockagentcorecontrol": (
        "GetAgentInsightStore ListAgentInsightStores RotatePaymentConnectorCredentials UpdateAgentInsightStore"
    ),
    "bedrockruntime": "InvokeModelWithBidirectionalStream",
    "cloudformation": "RemoveAlias SetAlias",
    "cloudfront": "ListDistributionsByOwnedResource",
    "cloudhsm": (
        "AddTagsToResource CreateHapg CreateLunaClient DeleteHapg DeleteLunaClient DescribeHapg DescribeHsm "
        "DescribeLunaClient GetConfig ListAvailableZones ListHapgs ListHsms ListLunaClients ListTagsForResource "
        "ModifyHapg ModifyHsm ModifyLunaClient RemoveTagsFromResource"
    ),
    "cloudwatch": (
        "AssociateDatasetKmsKey DeleteMetricDataQueryDefinition DescribeAlarmContributors DisassociateDatasetKmsKey "
        "GetMetricDataQueryDefinition ListMetricDataQueryDefinitions PutMetricDataQueryDefinition"
    ),
    "cloudwatchlogs": "GetLogObject",
    "cloudwatchomni": "GetSpaceDataAccess",
    "cognitoidentityprovider": (
        "AdminListUserSessions AdminRevokeUserSession DescribeTermsByClient GetDerivedToken "
        "GetUserPoolClientSessionConfiguration GetUserPoolSessionConfiguration SetUserPoolClientSessionConfiguration "
        "SetUserPoolSessionConfiguration"
    ),
    "comprehendmedical": "DetectEntities",
    "connect": (
        "AssociateHoursOfOperations CreateAuthCode CreateContactFlowAlias CreateTestCase DeleteAllEntitySessions "
        "DeleteContactData DeleteContactFlowAlias DeleteSession DeleteTestCase DescribeContactFlowAlias "
        "DescribeTestCase DisassociateHoursOfOperations GetTestCaseExecutionSummary ListChildHoursOfOperations "
        "ListContactFlowAliases ListReplicationFindings ListTestCaseExecutionRecords ListTestCaseExecutions "
        "ListTestCases SearchTestCases StartAssistantContact StartTestCaseExecution StopTestCaseExecution "
        "UpdateContactFlowAlias UpdateContactTaskTemplate UpdateOutboundEmailContactMessage UpdateTestCase "
        "UpdateUserConfig"
    ),
    "connectcases": "GetMergeCasesStatus StartMergeCases",
    "connecthealth": (
        "CreateDataset DeleteDataset GetDataset GetMedicalCodingJob ListDatasets StartMedicalCodingJob SubmitFeedback"
    ),
    "connectscheduling": "ApproveTimeOff CancelTimeOff CreateTimeOff GetTimeOff PutTimeOffBalance RejectTimeOff",
    "customerprofiles": "BatchPutProfileObject SearchRecommendations",
    "datazone": "UpdateRootDomainUnitOwner",
    "deadline": (
        "BatchGetJob BatchGetSession BatchGetSessionAction BatchGetStep BatchGetTask BatchGetWorker BatchUpdateJob "
        "BatchUpdateTask"
    ),
    "detective": "ListOrganizationAdminAccounts",
    "devopsagent": "GetChat UpdateChat",
    "docdb": "DescribeServerlessV2PlatformVersions",
    "dynamodb": "CancelBulkOperation DescribeBulkOperation ListBulkOperations StartBulkPutItems",
    "ec2": (
        "AssociateKmsKeyId AssociateNetworkingFlexCostAllocationPolicy CreateCapacityReservationDateChangeQuote "
        "CreateMetricCategory CreateNetworkingFlexCostAllocationPolicy CreateTransitGatewayNetworkFunctionAttachment "
        "DeleteClientVpnEndpointAuthorizationPolicy DeleteMetricCategory DeleteNetworkingFlexCostAllocationPolicies "
        "DeleteTransitGatewayNetworkFunctionAttachment DescribeCapacityReservationDateChangeQuotes "
        "DescribeMetricCategories DescribeNetworkingFlexCostAllocationPolicies "
        "DescribeNetworkingFlexCostAllocationPolicyAssociations DescribeTransitGatewayNetworkFunctionAttachments "
        "DisassociateKmsKeyId DisassociateNetworkingFlexCostAllocationPolicy GetCapacityManagerSupportabilityScores "
        "GetClientVpnEndpointAuthorizationPolicy GetImageFindings GetNetworkingFlexCostAllocationPolicyVersions "
        "GetTransitGatewayAttachmentNatConfiguration ModifyClientVpnEndpointAuthorizationPolicy ModifyMetricCategory "
        "ModifyNetworkingFlexCostAllocationPolicy ModifyTransitGatewayAttachmentNatConfiguration "
        "ModifyTransitGatewayNetworkFunctionAttachment ModifyTransitGatewayPeeringAttachment"
    ),
    "elasticache": "PrepareMigration StopMigration",
    "elasticsearchservice": "UpdateClone",
    "elementalinference": (
        "CreateFunction CreateQuestionSet CreateQuestionSetVersion CreateScheduleAction DeleteFunction "
        "DeleteQuestionSet DeleteQuestionSetVersion DeleteScheduleAction GetFixture GetFunction GetQuestionSet "
        "ListFunctions ListQuestionSetVersions ListQuestionSets ListScheduleActions SearchFixtures UpdateFunction "
        "UpdateQuestionSet"
    ),
    "emrcontainers": "UpdateVirtualCluster",
    "geomaps": "GetGlyphs GetSprites GetStyleDescriptor",
    "glue": (
        "AssociateGlossaryTerms BatchGetDataQualityResult BatchGetDataQualityResultV2 "
        "BatchGetDataQualityRulesetEvaluationRun BatchGetIterableForms BatchPutDataQualityStatisticAnnotation "
        "CreateDataQualityEvaluationConfig CreateGlossary CreateGlossaryTerm DeleteAsset DeleteAssetType "
        "DeleteAttachment DeleteDataQualityEvaluationConfig DeleteFormType DeleteGlossary DeleteGlossaryTerm "
        "DisassociateGlossaryTerms GetAsset GetAssetType GetDataCatalogExportConfiguration "
        "GetDataQualityEvaluationConfig GetDataQualityResultV2 GetFormType GetGlossary GetGlossaryTerm "
        "GetMaterializedViewRefreshTaskRun ListAssetTypes ListDataQualityEvaluationConfigs ListDataQualityResultsV2 "
        "ListDataQualityStatisticAnnotations ListDataQualityStatistics ListFormTypes ListGlossaries ListGlossaryTerms "
        "ListIntegrationTableProperties ListIterableForms ListMaterializedViewRefreshTaskRuns "
        "PublishDataQualityResultV2 PutAsset PutAssetType PutAttachment PutDataCatalogExportConfiguration PutFormType "
        "SearchAssets StartMaterializedViewRefreshTaskRun StopMaterializedViewRefreshTaskRun UpdateAsset "
        "UpdateDataQualityEvaluationConfig UpdateGlossary UpdateGlossaryTerm"
    ),
    "guardduty": "ListInvestigationRecords",
    "health": (
        "ConfigureTags ConfigureTagsForOrganization DescribeServiceLifecycle DescribeTagKeys "
        "DescribeTagKeysForOrganization DescribeTags DescribeTagsForOrganization DescribeTagsOnboardingStatus "
        "DescribeTagsOnboardingStatusForOrganization DisableTags DisableTagsForOrganization EnableTags "
        "EnableTagsForOrganization"
    ),
    "iam": "AcquireRole UpdateDelegationRequest",
    "iamtoolbox": "GetRequestAuthorizationDetails GetRequestAuthorizationPolicy",
    "inspector2": "GetOnDemandScanStatus ListOnDemandScans StartOnDemandScan",
    "iotfleetwise": "BatchCreateVehicle BatchUpdateVehicle",
    "iotjobsdataplane": "StartCommandExecution",
    "kafkaconnect": "PauseConnector RestartConnector ResumeConnector",
    "keyspaces": "CreateType DeleteType RestoreTable",
    "kinesis": (
        "AcknowledgeDeadLetterQueueRecords AcknowledgeQueueRecords CreateQueue DeleteQueue DescribeQueue ListQueues "
        "ReceiveDeadLetterQueueRecords ReceiveQueueRecords RestoreDeadLetterQueueRecords "
        "UpdateDeadLetterQueueRecordsVisibility UpdateQueue UpdateQueueRecordsVisibility"
    ),
    "kinesisanalyticsv2": (
        "CreateSnapshot DeleteSnapshot DescribeSnapshot DescribeSnapshotOperation ExportSnapshot ImportSnapshot "
        "ListSnapshotOperations ListSnapshots"
    ),
    "lakeformation": (
        "AssumeDecoratedRoleWithSAML GetTemporaryDataLocationCredentials GetTemporaryGlueFunctionCredentials"
    ),
    "lambda": "DeleteDurableExecution PauseDurableExecution ResumeDurableExecution",
    "lambdacore": (
        "CreateRuntime CreateRuntimeAlias CreateRuntimeVersion DeleteRuntime DeleteRuntimeAlias DeleteRuntimeVersion "
        "GetRuntime GetRuntimeAlias GetRuntimeVersion ListRuntimeAliases ListRuntimeVersions ListRuntimes "
        "RestoreRuntime UpdateRuntime UpdateRuntimeAlias UpdateRuntimeVersion"
    ),
    "lexmodelsv2": "ListBotAnalyzerHistory",
    "lightsail": (
        "CheckSubdomainAvailability CreateSubdomain DeleteSubdomain GetProfile GetSubdomains UpdateSubdomainAssociation"
    ),
    "marketplaceagreement": (
        "AcceptAgreementApproval GetAgreementApproval GetAgreementContacts GetAgreementRequestApprovalPlans "
        "GetAgreementRequestTerms ListAgreementApprovals RejectAgreementApproval StartAgreementApprovals"
    ),
    "mediaconnect": (
        "BatchGetDestinationEndpoint BatchGetRouterInput BatchGetRouterNetworkInterface BatchGetRouterOutput "
        "BatchGetSourceEndpoint ConnectEndpoints DeregisterDestinationEndpoint DeregisterSourceEndpoint "
        "DisconnectEndpoints GetDestinationEndpoint GetSourceEndpoint ListDestinationEndpoints ListSourceEndpoints "
        "ListTagsForGlobalResource RegisterDestinationEndpoint RegisterSourceEndpoint TagGlobalResource "
        "UntagGlobalResource UpdateDestinationEndpoint UpdateSourceEndpoint"
    ),
    "mediaconvert": "GetJobsQueryResults StartJobsQuery",
    "mediatailor": "DeleteFunction GetFunction ListFunctions PutFunction",
    "mgn": (
        "CreateRemoteSourceAction DeleteRemoteSourceAction GetLaunchConfigurationDefaults "
        "ListNetworkMigrationInsights ListRemoteSourceActionInvocationResults ListRemoteSourceActionInvocations "
        "ListRemoteSourceActionJobs ListRemoteSourceActions StartRemoteSourceActionJob "
        "UpdateLaunchConfigurationDefaults UpdateRemoteSourceAction"
    ),
    "mwaaserverless": "CreateAirflowUiUrl",
    "neptunedata": "CancelIndexRebuild GetIndexRebuildStatus GetStorageInfo ListIndexRebuilds StartIndexRebuild",
    "networkfirewall": "ListContextStores ListResourcesInContextStore UpdateProxySettings",
    "networkflowmonitor": (
        "CreatePerformanceMonitor DeletePerformanceMonitor GetMonitorScopeSuggestions GetPerformanceMonitor "
        "GetQueryResultsPerformanceMonitor GetQueryStatusPerformanceMonitor ListPerformanceMonitors "
        "StartQueryPerformanceMonitor StopQueryPerformanceMonitor UpdatePerformanceMonitor"
    ),
    "networkmanager": (
        "AssociateContextStore CreateContextStore DeleteContextStore DisassociateContextStore GetContextStore "
        "GetContextStoreAssociation GetContextVersion ListContextChanges ListContextStoreAssociations "
        "ListContextStores ListContexts UpdateContextStore"
    ),
    "observabilityadmin": (
        "CreateConnector DeleteConnector GetConnector GetConnectorTelemetryManifest GetConnectorTelemetrySetup "
        "GetThirdPartyTelemetryEnrichment ListConnectors ListResourcesByConnector ListThirdPartyTelemetryEnrichments "
        "PutConnectorTelemetryManifest StartTelemetryPipelineRefresh"
    ),
    "odb": (
        "AssociateVirtualMachinesToCloudVmCluster DisassociateVirtualMachinesFromCloudVmCluster "
        "UpdateCloudAutonomousVmCluster UpdateCloudExadataInfrastructureStorageCapacity UpdateCloudVmCluster "
        "UpdateExascaleCloudExadataInfrastructure"
    ),
    "opensearch": "UpdateClone",
    "outposts": "StartOutpostDecommission",
    "polly": "ListTagsForResource TagResource UntagResource",
    "quicksight": (
        "CreateTopicV2 DeleteTopicV2 DescribeAnalysisDefinition DescribeDashboardDefinition "
        "DescribeResourcePermissions DescribeTemplateDefinition DescribeTopicPermissionsV2 DescribeTopicV2 "
        "ListTopicsV2 SearchTopicsV2 UpdateTopicPermissionsV2 UpdateTopicV2"
    ),
    "ram": "UpdatePermission",
    "rds": "DescribeServerlessV2PlatformVersions",
    "redshiftdata": "GetStatementResultV2",
    "resourceexplorer2": "ListResources",
    "route53": "CreateResourceRecordSetProtections DeleteResourceRecordSetProtections ListResourceRecordSetProtections",
    "route53domains": "RestoreDomain",
    "route53globalresolver": (
        "CreateCoreNetworkEndpoint DeleteCoreNetworkEndpoint GetCoreNetworkEndpoint ListCoreNetworkEndpoints "
        "ListSharedDNSViews UpdateCoreNetworkEndpoint"
    ),
    "route53profiles": "UpdateProfileAssociation",
    "route53resolver": "BatchCreateFirewallRule BatchDeleteFirewallRule BatchUpdateFirewallRule",
    "s3tables": (
        "CompleteTableMigration GetTableBucketLogging GetTableMigration ListTableMigrations PutTableBucketLogging "
        "StartTableMigration SyncTableMigration UpdateTableMigration"
    ),
    "s3vectors": "UpdateMetadataConfiguration",
    "sagemaker": (
        "CreateClusterExtension CreateInferenceRouter DeleteClusterExtension DeleteEndpointPolicy "
        "DeleteInferenceRouter DescribeClusterExtension DescribeClusterOperation DescribeInferenceRouter "
        "GetEndpointPolicy ListClusterExtensionVersions ListClusterExtensions ListClusterOperations "
        "ListInferenceRouters PutEndpointPolicy UpdateClusterExtension UpdateInferenceRouter"
    ),
    "sagemakerfeaturestoreruntime": "UpdateRecord",
    "sagemakerinferencerouterruntime": "InvokeInferenceRouter InvokeInferenceRouterAsync",
    "secretsmanager": "AssociateCrossAccountReplica DisassociateCrossAccountReplica ListResourcePolicies",
    "securityhub": "GetSoftwareResourcesV2 GetSoftwareStatisticsV2 GetSoftwareV2",
    "signin": (
        "CreateBearerToken CreateOAuth2TokenWithIAM CreateOAuth2TokenWithTokenExchange IntrospectOAuth2TokenWithIAM "
        "RevokeOAuth2TokenWithIAM"
    ),
    "support": (
        "CompleteAttachmentUpload DescribeAttachmentUploadStatus GetAttachmentDownloadLink GetAttachmentUploadLinks"
    ),
    "wellarchitected": (
        "CreateAgentBasicProfile CreateAgentOrganizationalProfile CreateAgentOrganizationalReport "
        "DeleteAgentOrganizationalReport DeleteAgentProfilePolicy DeleteAgentRecommendationPolicy "
        "GetAgentOrganizationalReport GetAgentOrganizationalReportData GetAgentPreferences GetAgentProfilePolicy "
        "GetAgentRecommendationPolicy ListAgentOrganizationalReports PutAgentPreferences PutAgentProfilePolicy "
        "PutAgentRecommendationPolicy SendAgentOrganizationalReportDataToS3 UpdateAgentOrganizationalProfile"
    ),
    "wickr": "UpdateNetwork",
}
SERVICES_UNKNOWN = frozenset({"applicationcostprofiler", "iotthingsgraph", "opensearchmemory"})
