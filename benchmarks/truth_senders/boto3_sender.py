"""Make calls with boto3 and note each datagram; written for Python 2.7 too, since old releases need old interpreters.

What it takes and writes is said in ../record_senders.py; options come first. Each thread makes an equal share of the
calls, and has a client of each service in common with the others, or with --sessions a session of its own.
"""

import argparse
import base64
import json
import random
import threading

import boto3
import botocore.monitoring
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.monitoring import SocketPublisher

# Service, method and parameters of calls that can be made without anything in AWS.
APIS = {
    "GetItem": ("dynamodb", "get_item", {"TableName": "table", "Key": {"k": {"S": "1"}}}),
    "ListTables": ("dynamodb", "list_tables", {}),
    "ListBuckets": ("s3", "list_buckets", {}),
    "PutObject": ("s3", "put_object", {"Bucket": "bucket", "Key": "key", "Body": b"x" * 100}),
}

NOTED = []
CURRENT = threading.local()


class NotingSocket:
    """The socket of a session's monitor; it notes each datagram before it is sent."""

    def __init__(self, socket):
        self._socket = socket
        socket.bind(("127.0.0.1", 0))  # sendto would bind it; asking for the port at each would release the GIL
        self._port = socket.getsockname()[1]

    def sendto(self, payload, address):
        """Note and send."""
        NOTED.append((self._port, payload, CURRENT.call))
        self._socket.sendto(payload, address)


class NotingPublisher(SocketPublisher):
    """As botocore's own, but for the socket."""

    def __init__(self, socket, host, port, serializer):
        SocketPublisher.__init__(self, NotingSocket(socket), host, port, serializer)


def main():
    """Make all calls and write the notes."""
    asked = arguments()
    apis = [APIS[name] for name in asked.apis.split(",")]
    services = sorted({service for service, _, _ in apis})
    # The retries are set here as well: old releases know no AWS_MAX_ATTEMPTS.
    config = Config(max_pool_connections=asked.at_once, retries={"max_attempts": asked.attempts - 1})
    botocore.monitoring.SocketPublisher = NotingPublisher

    def clients():
        session = boto3.Session()
        return {service: session.client(service, endpoint_url=asked.endpoint, config=config) for service in services}

    shared = clients()
    of_thread = [clients() if asked.sessions else shared for _ in range(asked.at_once)]
    start = threading.Event()

    def run(thread):
        rng = random.Random(asked.seed + "-" + str(thread))
        start.wait()
        for number in range(asked.calls // asked.at_once):
            service, method, parameters = rng.choice(apis)
            CURRENT.call = "-".join([asked.seed, str(thread), str(number)])
            try:
                getattr(of_thread[thread][service], method)(**parameters)
            except (BotoCoreError, ClientError):
                continue  # the stand-in's faults

    threads = [threading.Thread(target=run, args=(thread,)) for thread in range(asked.at_once)]
    for one in threads:
        one.start()
    start.set()
    for one in threads:
        one.join()
    with open(asked.notes_file, "w") as file:
        for port, payload, call in NOTED:
            note = {"port": port, "b64": base64.b64encode(payload).decode("ascii"), "call": call}
            file.write(json.dumps(note) + "\n")


def arguments():
    """Return the parsed arguments."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--apis", default="GetItem", help="separated by commas")
    parser.add_argument("--attempts", type=int, default=4, help="of each call at most")
    parser.add_argument("--sessions", action="store_true", help="a session for each thread instead of one for all")
    parser.add_argument("--seed", default="1", help="for the choice of the calls, and the first part of their ids")
    parser.add_argument("endpoint")
    parser.add_argument("calls", type=int)
    parser.add_argument("at_once", type=int)
    parser.add_argument("notes_file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
