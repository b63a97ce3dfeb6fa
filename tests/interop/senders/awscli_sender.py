"""Make S3 and DynamoDB calls with the AWS CLI, a process each. What it takes and prints is said in ../sdks.py.

Runs on the CLI's own Python: ``aws`` lies beside it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BUCKET = TABLE = "interop"
AWS = Path(sys.executable).with_name("aws")


def arguments(api: str, label: str) -> tuple[str, ...]:
    """Return what the CLI calls this call."""
    if api == "PutObject":
        return ("s3api", "put-object", "--bucket", BUCKET, "--key", label)
    return ("dynamodb", "get-item", "--table-name", TABLE, "--key", json.dumps({"id": {"S": label}}))


def main() -> None:
    """Make the calls, so many at once."""
    endpoint, attempts, timeout_ms, workers = sys.argv[1:5]
    options = ("--endpoint-url", endpoint, "--cli-read-timeout", str(max(1, int(timeout_ms) // 1000)))
    environment = {**os.environ, "AWS_MAX_ATTEMPTS": attempts}

    def report(named: str) -> str:
        api, _, label = named.partition("/")
        began = time.time()
        done = subprocess.run(
            (sys.executable, AWS, *options, *arguments(api, label)),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        ended = time.time()
        error = f"exit code {done.returncode}" if done.returncode else None
        return json.dumps({"api": api, "label": label, "began": began, "ended": ended, "error": error})

    with ThreadPoolExecutor(int(workers)) as pool:
        for line in pool.map(report, sys.argv[5:]):
            print(line)


if __name__ == "__main__":
    main()
