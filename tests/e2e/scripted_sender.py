"""A process that sends CSM events on request: ``scripted_sender.py DAEMON_PORT [OWN_PORT]``.

Reads ``attempt`` or ``call`` from stdin, sends one and prints ``sent``; ends with its input. A call is that
of the attempt before it. On ``fork`` a child takes over, with the same socket.
"""

import json
import os
import socket
import sys
import time

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.bind(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 0))
    print(sock.getsockname()[1], flush=True)
    began = 0
    for line in sys.stdin:
        if line == "fork\n":
            if os.fork():
                os._exit(0)
            print("sent", flush=True)
            continue
        event = {"Version": 1, "ClientId": "", "Service": "S3", "Api": "ListBuckets"}
        now = int(time.time() * 1000)
        if line == "attempt\n":
            began = now
            event |= {"Type": "ApiCallAttempt", "Timestamp": began, "AttemptLatency": 0, "HttpStatusCode": 200}
        else:
            event |= {"Type": "ApiCall", "Timestamp": began, "Latency": now - began, "AttemptCount": 1}
        sock.sendto(json.dumps(event).encode(), ("127.0.0.1", int(sys.argv[1])))
        print("sent", flush=True)
