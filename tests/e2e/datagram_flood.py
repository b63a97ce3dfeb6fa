"""Sends attempts without their calls to a port of 127.0.0.1, as fast as possible, until it is killed.

It prints ``flooding`` once it has sent more than a receive buffer holds.
"""

import json
import socket
import sys

EVENT = {
    "Version": 1,
    "ClientId": "flood",
    "Type": "ApiCallAttempt",
    "Service": "S3",
    "Api": "GetObject",
    "Timestamp": 1795458108268,
    "AttemptLatency": 2,
    "Fqdn": "s3.amazonaws.com",
    "UserAgent": "Boto3/1.35.0 Botocore/1.35.0",
    "HttpStatusCode": 200,
}

payload = json.dumps(EVENT).encode()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.connect(("127.0.0.1", int(sys.argv[1])))
    for _ in range(20_000):
        sock.send(payload)
    print("flooding", flush=True)
    while True:
        sock.send(payload)
