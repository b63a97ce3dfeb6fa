"""Running `csm-otel` and scripts under it, as a user would: processes, environments, output."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from children.processes import as_from_a_terminal
from demo import environment_for

from csm_otel.ci.system import MARKERS

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

DEADLINE_SECONDS = 60.0
LISTENING = rb"^csm-otel: listening on "
"""Matches the line that the daemon prints when it is ready."""
CSM_OTEL = (sys.executable, "-m", "csm_otel")

ONE_CALL = "import boto3; boto3.client('s3').list_buckets()"
SENDER = Path(__file__).parents[2] / "soak" / "one_call.py"
"""Sends the datagrams of one call, without AWS and much sooner than the SDK: for tests that are not about the SDK."""
ONE_CALL_SENT = (sys.executable, str(SENDER), "exit", "0")
# Three attempts of one call, one denied, one missing; exits with 3.
SEVERAL_CALLS = """
import boto3, botocore.exceptions, sys
dynamodb, s3 = boto3.client("dynamodb"), boto3.client("s3")
dynamodb.list_tables()
s3.list_buckets()
for call in (lambda: s3.head_bucket(Bucket="missing"), lambda: boto3.client("sts").get_caller_identity()):
    try:
        call()
    except botocore.exceptions.ClientError as error:
        print(error.response["Error"]["Code"])
sys.exit(3)
"""


def environment(aws_port: int = 9, /, **more: str) -> dict[str, str]:
    """Return an environment for a script that finds AWS at a port of 127.0.0.1 (9: nothing is there)."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "CSM_OTEL_"))}
    for name in ("TRACEPARENT", "TRACESTATE", "BAGGAGE", "_X_AMZN_TRACE_ID", "GITHUB_ACTIONS", *MARKERS):
        inherited.pop(name, None)
    return {**environment_for(aws_port, inherited), "CSM_OTEL_CONTROL": "none", **more}


def run(*arguments: str | Path, env: Mapping[str, str], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run ``csm-otel`` to its end."""
    return subprocess.run(
        [*CSM_OTEL, *map(str, arguments)],
        env=env,
        input=stdin,
        capture_output=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


def run_exec(script: str, *flags: str | Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    """Run a Python script's text under ``csm-otel exec``."""
    return run("exec", *flags, "--", sys.executable, "-c", script, env=env)


def spans_in(file: Path) -> list[dict[str, Any]]:
    """Return the spans of an OTLP JSON lines file, each with its resource and with its attributes as a dict.

    A last line without its end is left out: it is being written.
    """
    spans = []
    for line in file.read_text(encoding="utf-8").split("\n")[:-1]:
        for resource_spans in json.loads(line)["resourceSpans"]:
            resource = _attributes(resource_spans["resource"])
            for scope_spans in resource_spans["scopeSpans"]:
                spans += [
                    {**span, "attributes": _attributes(span), "resource": resource} for span in scope_spans["spans"]
                ]
    return spans


def _attributes(holder: Mapping[str, Any]) -> dict[str, Any]:
    return {item["key"]: next(iter(item["value"].values())) for item in holder.get("attributes", ())}


@dataclass
class Serving:
    """A running ``csm-otel serve``."""

    process: subprocess.Popen[bytes]
    line: str
    """The lines that it printed until it listened."""
    address: tuple[str, int]
    rest: bytes = b""

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop it by a signal, keep the rest of its stderr, and return its exit code."""
        self.process.send_signal(number)
        _, self.rest = self.process.communicate(timeout=DEADLINE_SECONDS)
        return self.process.returncode

    def csm(self) -> dict[str, str]:
        """Return the variables that make a script send to it."""
        return {"AWS_CSM_ENABLED": "true", "AWS_CSM_PORT": str(self.address[1])}


@contextlib.contextmanager
def serving(
    *flags: str | Path,
    env: Mapping[str, str],
    under: Sequence[str] = (),
    stdout: Path | None = None,
    command: Sequence[str | Path] = CSM_OTEL,
    pass_fds: Sequence[int] = (),
) -> Generator[Serving]:
    """Run ``csm-otel serve`` on a free port until the block ends, under another program if one is given.

    Its stdout goes to the file ``stdout`` if one is given; ``command`` is another way to run csm-otel. It inherits
    ``pass_fds``.
    """
    if "--port" not in flags:
        flags = ("--port", "0", *flags)
    with as_from_a_terminal(), stdout.open("wb") if stdout else contextlib.nullcontext() as file:
        process = subprocess.Popen(
            [*under, *map(str, command), "serve", *map(str, flags)],
            env=env,
            stderr=subprocess.PIPE,
            stdout=file or subprocess.PIPE,
            pass_fds=pass_fds,
        )
    try:
        lines = read_until(process, LISTENING)
        found = re.search(r"^csm-otel: listening on (?:\[([^]]+)\]|([\d.]+)):(\d+)\b", lines, re.MULTILINE)
        assert found, lines
        yield Serving(process, lines, (found[1] or found[2], int(found[3])))
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def read_until(process: subprocess.Popen[bytes], pattern: bytes) -> str:
    """Read stderr, unbuffered, up to the end of a line that matches the regular expression, where ^ begins a line."""
    assert process.stderr is not None
    got = b""
    end = time.monotonic() + DEADLINE_SECONDS
    while not re.search(pattern, got, re.MULTILINE) or not got.endswith(b"\n"):
        readable, _, _ = select.select([process.stderr], [], [], max(0, end - time.monotonic()))
        if not readable or not (piece := os.read(process.stderr.fileno(), 65_536)):
            break
        got += piece
    return got.decode()


def has_traceback(output: bytes) -> bool:
    """Return whether the output has a traceback."""
    return b"Traceback" in output or b"Exception ignored" in output


def lines_of(argv: Sequence[bytes] | bytes) -> list[str]:
    """Return the lines of csm-otel itself in an output."""
    text = argv if isinstance(argv, bytes) else b"".join(argv)
    return [line for line in text.decode().splitlines() if line.startswith("csm-otel: ")]
