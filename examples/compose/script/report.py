"""Stand for a legacy script: print how many objects each bucket has. It knows nothing of tracing."""

import boto3
from botocore.exceptions import ClientError

s3 = boto3.client("s3")
pages = s3.get_paginator("list_objects_v2")
for bucket in s3.list_buckets()["Buckets"]:
    try:
        count = sum(page["KeyCount"] for page in pages.paginate(Bucket=bucket["Name"]))
    except ClientError as error:
        count = error.response["Error"]["Code"]
    print(bucket["Name"], count)
