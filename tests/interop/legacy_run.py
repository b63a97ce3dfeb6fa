"""One run of the demo's legacy script under csm-otel, exporting to Jaeger, and its results to compare.

AWS is moto behind the fault proxy, with the demo's own faults: two throttled attempts, one denied call, one 404.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from demo import FILES, RULES, SCRIPT, environment_for
from faultproxy import Answer, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from interop.jaeger import Jaeger, ShownSpan

Command = Literal["exec", "serve"]
Protocol = Literal["http/protobuf", "http/json", "grpc"]

CLIENT_ID = "nightly-backup"
ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SESSION_TOKEN = "planted-session-token-6f1d9c3a7b5e4820"
SCRIPT_SECONDS = 60.0
START_SECONDS = 30.0
END_SECONDS = 30.0
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyRun:
    """AWS's answers, Jaeger's traces, and the output of the two programs."""

    command: Command
    service: str
    """The script's name under `exec`, its client id under `serve`."""
    port: int
    """The port of AWS on 127.0.0.1 for the script."""
    answers: list[Answer]
    traces: dict[str, list[ShownSpan]]
    """By trace id; the traces of the service that Jaeger did not know before."""
    stdout: str
    """The script's."""
    stderr: str
    """csm-otel's and the script's under `exec`, csm-otel's under `serve`."""

    @property
    def spans(self) -> list[ShownSpan]:
        """Every span of every trace."""
        return [span for trace in self.traces.values() for span in trace]

    @property
    def calls(self) -> list[ShownSpan]:
        """The spans of API calls."""
        return [span for span in self.spans if "rpc.system" in span.attributes]

    @property
    def attempts(self) -> list[ShownSpan]:
        """The spans of attempts."""
        return [span for span in self.spans if span.name.endswith(" attempt")]

    def attempts_of(self, call: ShownSpan) -> list[ShownSpan]:
        """Return the attempts of a call, earliest first."""
        children = [span for span in self.traces[call.trace_id] if span.parent_id == call.span_id]
        return sorted(children, key=lambda span: span.start_ns)

    def the_call(self, name: str, *, attempts: int = 1) -> ShownSpan:
        """Return the one call of this name with so many attempts."""
        (call,) = (one for one in self.calls if one.name == name and len(self.attempts_of(one)) == attempts)
        return call


def run_legacy_script(
    command: Command, protocol: Protocol, *, moto_port: int, jaeger: Jaeger, folder: Path
) -> LegacyRun:
    """Run the script, wait for the delivery of its spans and query Jaeger for the new ones."""
    service = SCRIPT.name if command == "exec" else CLIENT_ID
    known = jaeger.traces_of(service)
    files = folder / "files"
    files.mkdir()
    for name, size in FILES.items():
        (files / name).write_text("-- dump\n" * size, encoding="utf-8")
    # Own buckets, tables and queues, since the runs share one moto.
    name = f"{command}-{protocol.rpartition('/')[2]}"
    script = [sys.executable, str(SCRIPT), "-b", name, "-t", name, "-q", name, str(files)]
    with FaultProxy(moto_port, RULES) as proxy:
        environment = _environment(proxy.port)
        exporting = {
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_grpc if protocol == "grpc" else jaeger.otlp_http,
        }
        if command == "exec":
            wrapped = [sys.executable, "-m", "csm_otel", "exec", "--", *script]
            stdout, stderr = _run(wrapped, {**environment, **exporting})
        else:
            log = folder / "serve.stderr"
            with _serving({**environment, **exporting}, log) as csm_port:
                stdout, _ = _run(script, {**environment, **_monitored(csm_port)})
            stderr = log.read_text(encoding="utf-8")
        traces = {trace_id: trace for trace_id, trace in jaeger.traces_of(service).items() if trace_id not in known}
        assert traces, f"Jaeger shows nothing new of {service}\n{stderr}"
        return LegacyRun(
            command=command,
            service=service,
            port=proxy.port,
            answers=proxy.answers,
            traces=traces,
            stdout=stdout,
            stderr=stderr,
        )


def _environment(aws_port: int) -> dict[str, str]:
    """Return our environment without other telemetry settings, and with AWS at a loopback port."""
    foreign = ("OTEL_", "CSM_OTEL_", "TRACEPARENT", "TRACESTATE", "BAGGAGE")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**environment_for(aws_port, inherited), "AWS_SESSION_TOKEN": SESSION_TOKEN}


def _monitored(csm_port: int) -> dict[str, str]:
    return {
        "AWS_CSM_ENABLED": "true",
        "AWS_CSM_HOST": "127.0.0.1",
        "AWS_CSM_PORT": str(csm_port),
        "AWS_CSM_CLIENT_ID": CLIENT_ID,
    }


def _run(command: list[str], environment: dict[str, str]) -> tuple[str, str]:
    """Run a command that must succeed and return its stdout and stderr."""
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SCRIPT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout, done.stderr


@contextlib.contextmanager
def _serving(environment: dict[str, str], log: Path) -> Generator[int, None, None]:
    """Run `csm-otel serve` with its stderr in a file and yield its port; at the end SIGTERM must end it with 0."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            (sys.executable, "-m", "csm_otel", "serve", "--port", "0"),
            env=environment,
            stdin=subprocess.DEVNULL,
            stderr=output,
        )
    try:
        yield _listening_port(process, log)
        process.terminate()
        code = process.wait(END_SECONDS)
        assert code == 0, f"exit code {code}\n{log.read_text(encoding='utf-8')}"
    finally:
        process.kill()  # a no-op for a process that has ended
        process.wait()


def _listening_port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        listening = re.search(
            r"^csm-otel: listening on 127\.0\.0\.1:(\d+)\b.*\n", log.read_text(encoding="utf-8"), re.MULTILINE
        )
        if listening:
            return int(listening[1])
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"csm-otel serve does not say where it listens:\n{log.read_text(encoding='utf-8')}")
