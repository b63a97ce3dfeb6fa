"""Make S3 and DynamoDB calls with boto3; written for Python 3.6 too, since the first boto3 with CSM needs an old one.

What it takes and prints is said in ../sdks.py.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, Optional

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

BUCKET = TABLE = "interop"


def call(clients: Dict[str, Any], api: str, label: str) -> Optional[str]:
    """Make one call and return the name of its error, if any."""
    try:
        if api == "PutObject":
            clients["s3"].put_object(Bucket=BUCKET, Key=label, Body=b"x")
        else:
            clients["dynamodb"].get_item(TableName=TABLE, Key={"id": {"S": label}})
    except (BotoCoreError, ClientError) as error:
        return type(error).__name__
    return None


def main() -> None:
    """Make the calls, so many at once."""
    endpoint, attempts, timeout_ms, workers = sys.argv[1:5]
    config = Config(
        retries={"max_attempts": int(attempts) - 1},
        read_timeout=int(timeout_ms) / 1000,
        max_pool_connections=int(workers),
        s3={"addressing_style": "path"},
    )
    clients = {name: boto3.client(name, endpoint_url=endpoint, config=config) for name in ("s3", "dynamodb")}

    def report(named: str) -> str:
        api, _, label = named.partition("/")
        began = time.time()
        error = call(clients, api, label)
        ended = time.time()
        return json.dumps({"api": api, "label": label, "began": began, "ended": ended, "error": error})

    with ThreadPoolExecutor(int(workers)) as pool:
        for line in pool.map(report, sys.argv[5:]):
            print(line)


if __name__ == "__main__":
    main()
