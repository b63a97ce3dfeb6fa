"""Record the datagrams of a real boto3 with the truth about each, for `accuracy.py`.

    python benchmarks/record_truth.py [--python INTERPRETER] [--mode legacy] [--faults] ... OUT.jsonl.gz

Threads call a stand-in for AWS on loopback, with configured delays and faults; nothing leaves the machine. A call
has an id in its thread, and each datagram is noted with it as it is sent. Received datagrams are looked up there by
source port and payload: of identical ones the first sent is the first received. The heading has the options.

The sender is truth_senders/boto3_sender.py. The interpreter that runs it may be as old as 2.7, its boto3 as old as CSM;
where boto3 knows no AWS_RETRY_MODE, the mode is legacy whatever is asked for.

The stand-in, the receiver and each sender are processes of their own, so that they do not wait for one another's
interpreter. It ends when all calls are made.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gzip
import json
import multiprocessing
import os
import random
import select
import subprocess
import sys
import tempfile
from collections import defaultdict, deque
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.intake.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from csm_otel.intake.receiver import Datagram

    Noted = list[tuple[int, bytes, str]]
    """Source port, payload and call of each sent datagram."""

_REDIRECTED = "/redirected"
_MOST_AT_ONCE = 256
_QUIET_SECONDS = 0.3  # after the last sender has ended; loopback delivers at once
_MOST_SECONDS = 60  # for a sender


_BOTO3_SENDER = Path(__file__).parent / "truth_senders/boto3_sender.py"
_APIS = ("GetItem", "ListTables", "ListBuckets", "PutObject")  # those that it knows
_VERSIONS = """
import json, platform, boto3, botocore
print(json.dumps({"boto3": boto3.__version__, "botocore": botocore.__version__, "python": platform.python_version()}))
"""

# The percentage of requests for each answer with --faults; a reset has neither status nor code.
FAULTS: tuple[tuple[float, int, str], ...] = (
    (4, 500, "InternalServerError"),
    (4, 503, "ServiceUnavailable"),
    (4, 400, "ThrottlingException"),
    (2, 0, ""),
    (2, 400, "ValidationException"),
    (1, 403, "AccessDeniedException"),
)


def main() -> None:
    """Record and write."""
    asked = _arguments()
    versions = json.loads(subprocess.run([asked.python, "-c", _VERSIONS], check=True, stdout=subprocess.PIPE).stdout)
    received = record(asked, lambda: [_command(asked, number) for number in range(asked.processes)])
    write(asked, received, {"sdk": "boto3", **versions})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Record boto3's datagrams with the call that each belongs to.")
    parser.add_argument("out", type=Path, metavar="OUT.jsonl.gz")
    parser.add_argument("--python", default=sys.executable, metavar="INTERPRETER", help="with the boto3 that sends")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--threads", type=int, default=8, help="in each process")
    parser.add_argument("--calls", type=int, default=60, help="of each thread")
    parser.add_argument("--apis", default="GetItem", help=f"separated by commas, of {', '.join(_APIS)}")
    parser.add_argument("--mode", default="standard", choices=("legacy", "standard", "adaptive"), help="of retries")
    parser.add_argument("--attempts", type=int, default=4, help="of each call at most")
    parser.add_argument("--latency", default="4-20", metavar="MS-MS", help="how long an answer takes")
    add_faults(parser)
    parser.add_argument("--sessions", action="store_true", help="a session for each thread instead of one for all")
    parser.add_argument("--seed", default="1", help="for what is left to chance, but for the threads' timing")
    return parser.parse_args()


def _command(asked: argparse.Namespace, process: int) -> list[str]:
    options = ["--apis", asked.apis, "--attempts", str(asked.attempts), "--seed", f"{asked.seed}-{process}"]
    if asked.sessions:
        options.append("--sessions")
    calls = asked.calls * asked.threads
    return [asked.python, str(_BOTO3_SENDER), *options, asked.endpoint, str(calls), str(asked.threads)]


def add_faults(parser: argparse.ArgumentParser) -> None:
    """Add the options for the stand-in's faults."""
    parser.add_argument(
        "--faults",
        action="store_const",
        const=FAULTS,
        default=(),
        help="answer one request in six with an error or a reset",
    )
    parser.add_argument(
        "--failing",
        dest="faults",
        type=_server_errors,
        metavar="PERCENT",
        help="answer so many requests with a server error instead",
    )
    parser.add_argument("--once", action="store_true", help="no fault for a retry, where amz-sdk-request tells it")
    parser.add_argument("--fault-latency", metavar="MS-MS", help="how long an answer with a fault takes; as any other")


def _server_errors(percent: str) -> tuple[tuple[float, int, str], ...]:
    return ((float(percent) / 2, 500, "InternalServerError"), (float(percent) / 2, 503, "ServiceUnavailable"))


def set_environment(asked: argparse.Namespace, csm_port: int) -> None:
    """Replace all settings of AWS for the processes that are started."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {
        "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "not a secret",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_RETRY_MODE": asked.mode, "AWS_MAX_ATTEMPTS": str(asked.attempts),
        "AWS_CSM_ENABLED": "true", "AWS_CSM_HOST": "127.0.0.1", "AWS_CSM_PORT": str(csm_port),
    }  # fmt: skip


def record(asked: argparse.Namespace, commands: Callable[[], list[list[str]]]) -> Received:
    """Run the senders, whose commands may contain ``asked.endpoint``, against the stand-in, and receive from them."""
    receiver = Receiver.bind("127.0.0.1", 0)
    set_environment(asked, receiver.address[1])
    apart = multiprocessing.get_context("spawn")
    port, for_port = apart.Pipe(duplex=False)
    stand_in = apart.Process(target=serve, args=(asked, for_port), daemon=True)
    stand_in.start()
    asked.endpoint = f"http://127.0.0.1:{port.recv()}"
    senders, notes = [], []
    for command in commands():
        note, for_note = apart.Pipe(duplex=False)
        senders.append(apart.Process(target=run_sender, args=(command, for_note), daemon=True))
        notes.append(note)
        senders[-1].start()
        for_note.close()
    received = receive(receiver, notes)
    for sender in senders:
        sender.join()
    stand_in.terminate()
    if any(sender.exitcode for sender in senders):
        sys.exit("a sender failed")
    return received


class Received(NamedTuple):
    """What the receiver has, and what the senders noted."""

    datagrams: list[Datagram]
    noted: Noted


def receive(receiver: Receiver, notes: list[Connection]) -> Received:
    """Receive until every sender has sent its notes or died."""
    got = Received([], [])
    waiting = list(notes)
    while True:
        ready, _, _ = select.select([receiver, *waiting], [], [], None if waiting else _QUIET_SECONDS)
        if not ready:
            break
        got.datagrams.extend(receiver.receive(_MOST_AT_ONCE))
        for note in [note for note in waiting if note in ready]:
            with suppress(EOFError):
                got.noted.extend(note.recv())
            waiting.remove(note)
    if receiver.kernel_drops:
        sys.exit(f"the kernel dropped {receiver.kernel_drops} datagrams")
    return got


def write(asked: argparse.Namespace, received: Received, versions: dict[str, str]) -> None:
    """Write each datagram with its call."""
    calls: defaultdict[tuple[int, bytes], deque[str]] = defaultdict(deque)
    for source_port, payload, call in received.noted:
        calls[source_port, payload].append(call)
    heading = {
        "scenario": asked.out.name.partition(".")[0],
        "versions": [versions],
        "truth": "hook",
        "asked": {name: value for name, value in vars(asked).items() if name not in ("out", "endpoint", "python")},
    }
    with gzip.open(asked.out, "wt", encoding="utf-8") as lines:
        print(json.dumps(heading), file=lines)
        for index, (payload, peer, received_ns) in enumerate(received.datagrams):
            line = {
                "i": index,
                "kern_ns": received_ns,
                "sport": peer.port,
                "v6": 0,
                "call": calls[peer.port, payload].popleft(),
                "b64": base64.b64encode(payload).decode(),
            }
            print(json.dumps(line), file=lines)
    print(f"{asked.out}: {len(received.datagrams)} datagrams")


# --- beside the senders ---


def run_sender(command: list[str], note: Connection) -> None:
    """Run a sender to its end and send its notes; it gets the name of their file as the last argument."""
    with tempfile.NamedTemporaryFile() as notes:
        subprocess.run([*command, notes.name], check=True, timeout=_MOST_SECONDS)
        noted: Noted = []
        for line in notes:
            one = json.loads(line)
            noted.append((one["port"], base64.b64decode(one["b64"]), str(one["call"])))
    note.send(noted)


# --- in the stand-in ---


def serve(asked: argparse.Namespace, for_port: Connection) -> None:
    """Answer in place of AWS until terminated, and tell the port."""
    asyncio.run(_listen(asked, for_port))


async def _listen(asked: argparse.Namespace, for_port: Connection) -> None:
    rng = random.Random(asked.seed)
    latency_ms = tuple(map(float, asked.latency.split("-")))
    fault_latency_ms = tuple(map(float, (asked.fault_latency or asked.latency).split("-")))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                request = await _read_request(reader, writer)
                status, code = _answer_of(rng, () if asked.once and request.retried else asked.faults)
                await asyncio.sleep(rng.uniform(*(latency_ms if status == HTTPStatus.OK else fault_latency_ms)) / 1000)
                if not status:
                    writer.transport.abort()
                    return
                if status == HTTPStatus.TEMPORARY_REDIRECT and request.redirected:
                    status = HTTPStatus.OK
                writer.write(_response(status, code, request, request_id=f"{rng.getrandbits(128):032X}"))

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
    for_port.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


class _Request(NamedTuple):
    is_json: bool
    host: str
    redirected: bool
    retried: bool


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> _Request:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    if b"expect" in headers:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    await reader.readexactly(int(headers.get(b"content-length", 0)))
    return _Request(
        is_json=b"x-amz-target" in headers,
        host=headers[b"host"].decode(),
        redirected=_REDIRECTED.encode() in head.partition(b"\r\n")[0],
        retried=not headers.get(b"amz-sdk-request", b"attempt=1").startswith(b"attempt=1"),
    )


def _answer_of(rng: random.Random, faults: tuple[tuple[float, int, str], ...]) -> tuple[int, str]:
    weights = [weight for weight, _, _ in faults]
    (_, status, code), *_ = rng.choices([*faults, (0, 200, "")], [*weights, 100 - sum(weights)])
    return status, code


def _response(status: int, code: str, request: _Request, *, request_id: str) -> bytes:
    if request.is_json:
        body = json.dumps({"__type": code, "message": "injected"} if code else {})
    elif code:
        body = f"<Error><Code>{code}</Code><Message>injected</Message></Error>"
    else:
        body = "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>"
    location = f"Location: http://{request.host}{_REDIRECTED}\r\n" if status == HTTPStatus.TEMPORARY_REDIRECT else ""
    return (
        f"HTTP/1.1 {status} -\r\n{location}x-amzn-RequestId: {request_id}\r\nx-amz-request-id: {request_id}\r\n"
        f"Content-Type: {'application/x-amz-json-1.0' if request.is_json else 'application/xml'}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


if __name__ == "__main__":
    main()
