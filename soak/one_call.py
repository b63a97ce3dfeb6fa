"""Sends an SDK's datagrams of one call, configured by the environment, and ends: ``one_call.py exit|signal NUMBER``.

Standard library only, so that a thousand of them take minutes.
"""

import json
import os
import socket
import sys
import time

now_ms = int(time.time() * 1000)
common = {
    "Version": 1,
    "ClientId": os.environ.get("AWS_CSM_CLIENT_ID", ""),
    "Service": "S3",
    "Api": "ListBuckets",
    "Region": "us-east-1",
    "UserAgent": "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.1 lang/python#3.11.7 Botocore/1.44.5",
}
attempt = {
    "Type": "ApiCallAttempt",
    "Timestamp": now_ms - 9,
    "AttemptLatency": 8,
    "Fqdn": "s3.amazonaws.com",
    "HttpStatusCode": 200,
    "AccessKey": "AKIAIOSFODNN7EXAMPLE",
    "XAmznRequestId": "79104EXAMPLEB723",
}
call = {
    "Type": "ApiCall",
    "Timestamp": now_ms - 10,
    "AttemptCount": 1,
    "FinalHttpStatusCode": 200,
    "Latency": 10,
    "MaxRetriesExceeded": 0,
}
if os.environ.get("AWS_CSM_ENABLED", "").lower() == "true":
    address = (os.environ.get("AWS_CSM_HOST", "127.0.0.1"), int(os.environ.get("AWS_CSM_PORT", "31000")))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for event in (attempt, call):
            sock.sendto(json.dumps({**common, **event}, separators=(",", ":")).encode(), address)
how, number = sys.argv[1], int(sys.argv[2])
if how == "signal":
    os.kill(os.getpid(), number)
sys.exit(number)
