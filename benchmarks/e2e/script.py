"""A boto3 script that makes so many calls for each line that it reads: ``python -m benchmarks.e2e.script CALLS``.

After each it prints a line with the microseconds a call took, by the clock and of its processor time.
"""

from __future__ import annotations

import json
import sys
import time

import boto3

_WARM_UP = 50


def main() -> None:
    """Call until stdin ends."""
    calls = int(sys.argv[1])
    client = boto3.client("dynamodb")
    for _ in range(_WARM_UP):
        client.get_item(TableName="table", Key={"id": {"S": "key"}})
    print(json.dumps("ready"), flush=True)
    for _ in sys.stdin:
        began, began_cpu = time.perf_counter(), time.process_time()
        for _ in range(calls):
            client.get_item(TableName="table", Key={"id": {"S": "key"}})
        took, cpu = time.perf_counter() - began, time.process_time() - began_cpu
        print(json.dumps([took / calls * 1e6, cpu / calls * 1e6]), flush=True)


if __name__ == "__main__":
    main()
