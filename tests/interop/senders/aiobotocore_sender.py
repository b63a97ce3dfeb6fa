"""Make S3 and DynamoDB calls with aiobotocore. What it takes and prints is said in ../sdks.py."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError

BUCKET = TABLE = "interop"


async def call(clients: dict[str, Any], api: str, label: str) -> str | None:
    """Make one call and return the name of its error, if any."""
    try:
        if api == "PutObject":
            await clients["s3"].put_object(Bucket=BUCKET, Key=label, Body=b"x")
        else:
            await clients["dynamodb"].get_item(TableName=TABLE, Key={"id": {"S": label}})
    except (BotoCoreError, ClientError) as error:
        return type(error).__name__
    return None


async def main() -> None:
    """Make the calls, so many at once."""
    endpoint, attempts, timeout_ms, workers = sys.argv[1:5]
    config = AioConfig(
        retries={"max_attempts": int(attempts) - 1},
        read_timeout=int(timeout_ms) / 1000,
        max_pool_connections=int(workers),
        s3={"addressing_style": "path"},
    )
    queue = iter(sys.argv[5:])  # its tasks share it: each takes the next

    async def work(clients: dict[str, Any]) -> None:
        for named in queue:
            api, _, label = named.partition("/")
            began = time.time()
            error = await call(clients, api, label)
            ended = time.time()
            print(json.dumps({"api": api, "label": label, "began": began, "ended": ended, "error": error}))

    session = get_session()
    async with AsyncExitStack() as stack:
        clients = {
            name: await stack.enter_async_context(session.create_client(name, endpoint_url=endpoint, config=config))
            for name in ("s3", "dynamodb")
        }
        await asyncio.gather(*(work(clients) for _ in range(int(workers))))


if __name__ == "__main__":
    asyncio.run(main())
