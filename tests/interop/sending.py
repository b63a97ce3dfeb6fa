"""One run of an SDK's sender under ``csm-otel exec``: a scenario goes in, real calls and exported spans come out.

AWS is moto behind the fault proxy, which identifies the call of each request by its label.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from demo import environment_for
from faultproxy import Answer, FaultProxy
from faultrules import Rule
from interop.exactness import MadeAttempt, MadeCall
from interop.jaeger import ShownSpan, spans_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from awswire import Request
    from interop.sdks import Sdk

BUCKET = TABLE = "interop"
LABEL = re.compile(rb"\bcall-\d+\b")
RUN_SECONDS = 900.0  # 200 processes of the AWS CLI take a minute on two otherwise idle cores
READ_TIMEOUT_MS = 1000
PATIENCE_MS = 60_000
FOREIGN = ("OTEL_", "CSM_OTEL_", "TRACEPARENT", "TRACESTATE", "BAGGAGE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The calls of a sender and their faults."""

    name: str
    rules: Callable[[int], tuple[Rule, ...]] = lambda _: ()
    """Returns the fault rules, given the number of calls of one API."""
    calls: int = 3
    """The number of calls of each API."""
    halfway: tuple[str, ...] = ()
    """Additional arguments between the calls of the first half and the others."""
    apis: int = 2
    """The number of the SDK's APIs that are called."""
    workers: int = 1
    attempts: int = 3
    """The most attempts of a call."""
    attempts_made: int | None = 1
    """The attempts of each call for the scenario to be the one named; None: it varies."""
    fails: bool | None = False
    """Whether the calls fail in the end; None: it varies."""
    refused: bool = False
    """Whether AWS's port refuses connections."""
    read_timeout_ms: int = PATIENCE_MS
    least_share: float = 1.0
    """The least share of calls that must be exactly right."""

    @property
    def is_concurrent(self) -> bool:
        """Whether calls overlap."""
        return self.workers > 1


def _twice_each(calls: int) -> tuple[Rule, ...]:
    """Return rules that throttle the first two attempts of each call, for sequential calls."""
    apis = ("PutObject", "GetItem")
    return tuple(Rule(kind="throttle", operation=api, after=call, times=2) for api in apis for call in range(calls))


def _one_in_ten(calls: int) -> tuple[Rule, ...]:
    return tuple(Rule(kind="throttle", after=9 * (turn + 1), times=1) for turn in range(calls // 9))


SCENARIOS = (
    Scenario(name="success"),
    Scenario(name="retry", rules=_twice_each, attempts_made=3),
    Scenario(
        name="exhausted", rules=lambda _: (Rule(kind="throttle", times=None),), calls=2, attempts_made=3, fails=True
    ),
    Scenario(name="service-error", rules=lambda _: (Rule(kind="denied", times=None),), fails=True),
    Scenario(name="refused", calls=2, attempts=2, attempts_made=2, fails=True, refused=True),
    Scenario(
        name="timeout",
        rules=lambda _: (Rule(kind="hold", times=None),),
        calls=1,
        attempts=2,
        attempts_made=2,
        fails=True,
        read_timeout_ms=READ_TIMEOUT_MS,
    ),
    Scenario(
        name="eight-at-once",
        rules=_one_in_ten,
        calls=200,
        apis=1,
        workers=8,
        attempts=5,
        attempts_made=None,
        fails=None,
        least_share=0.95,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The real calls of a sender and the spans exported of them."""

    made: list[MadeCall]
    spans: list[ShownSpan]
    strangers: list[Answer]
    """Requests without a label of ours."""
    stderr: str


def make_bucket_and_table(moto_port: int) -> None:
    """Create the bucket and table of the senders' calls, not observed by any bridge."""
    session = boto3.Session(
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="not-a-secret", region_name="us-east-1"
    )
    endpoint = f"http://127.0.0.1:{moto_port}"
    with contextlib.closing(session.client("s3", endpoint_url=endpoint)) as s3:
        s3.create_bucket(Bucket=BUCKET)
    with contextlib.closing(session.client("dynamodb", endpoint_url=endpoint)) as dynamodb:
        dynamodb.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )


def send(sdk: Sdk, scenario: Scenario, *, moto_port: int, folder: Path) -> Sent:
    """Run the sender to its end; ``folder`` keeps the export of csm-otel, and the proxy's log."""
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((folder / "answers.jsonl").open("w", encoding="utf-8"))
        proxy = stack.enter_context(FaultProxy(moto_port, scenario.rules(scenario.calls), log=log, call_of=label_of))
        port = stack.enter_context(_refusing_port()) if scenario.refused else proxy.port
        exported = folder / "spans.jsonl"
        done = _run(sdk, scenario, port, exported)
        (folder / "calls.jsonl").write_text(done.stdout, encoding="utf-8")
        answers = proxy.answers
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stderr}"
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    spans = [span for line in exported.read_text(encoding="utf-8").splitlines() for span in spans_of(json.loads(line))]
    return Sent(
        made=[_made(report, answers, scenario) for report in reports],
        spans=spans,
        strangers=[answer for answer in answers if not answer.call],
        stderr=done.stderr,
    )


def label_of(request: Request) -> str:
    """Return the label of the call in the key of the object or of the item."""
    found = LABEL.search(request.path.encode()) or LABEL.search(request.body)
    return found[0].decode() if found else ""


def command_of(sdk: Sdk, scenario: Scenario, port: int) -> tuple[str | Path, ...]:
    """Return the command that runs a scenario with AWS at a port of 127.0.0.1."""
    apis = sdk.apis[-scenario.apis :]
    calls = [f"{api}/call-{turn * len(apis) + at}" for turn in range(scenario.calls) for at, api in enumerate(apis)]
    middle = len(calls) // 2
    calls[middle:middle] = scenario.halfway
    numbers = (str(scenario.attempts), str(scenario.read_timeout_ms), str(scenario.workers))
    return (*sdk.command(sdk.folder), f"http://127.0.0.1:{port}", *numbers, *calls)


def _run(sdk: Sdk, scenario: Scenario, port: int, exported: Path) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return subprocess.run(
        (sys.executable, "-m", "csm_otel", "exec", "--file", exported, "--", *command_of(sdk, scenario, port)),
        # Go, JavaScript and Java read the region from the shorter name.
        env={**environment_for(port, inherited), "AWS_REGION": "us-east-1", "OTEL_TRACES_EXPORTER": "none"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )


def _made(report: dict[str, Any], answers: list[Answer], scenario: Scenario) -> MadeCall:
    if scenario.refused:  # there was no server to count
        attempts = (MadeAttempt(request_id=None, status=None, received_ns=None),) * scenario.attempts
    else:
        attempts = tuple(
            MadeAttempt(
                request_id=answer.request_id if answer.status else None,
                status=answer.status,
                received_ns=answer.received_ns,
            )
            for answer in sorted(answers, key=lambda answer: answer.received_ns)
            if answer.call == report["label"]
        )
    return MadeCall(
        api=report["api"],
        label=report["label"],
        began_ns=int(report["began"] * 1e9),
        ended_ns=int(report["ended"] * 1e9),
        failed=report["error"] is not None,
        attempts=attempts,
    )


@contextlib.contextmanager
def _refusing_port() -> Generator[int]:
    """Hold a port on which nothing listens, so that no other process can bind it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
