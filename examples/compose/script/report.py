"""Stand for a legacy script: print how many objects each bucket has. It knows nothing of tracing."""

import boto3
from botocore.exceptions import ClientError

s3 = boto3.client("s3", region_name="us-east-1")
for bucket in s3.list_buckets()["Buckets"]:
    try:
        count = s3.list_objects_v2(Bucket=bucket["Name"])["KeyCount"]
    except ClientError as error:
        count = error.response["Error"]["Code"]
    print(bucket["Name"], count)
