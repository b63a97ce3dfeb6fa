"""`csm-otel exec` as a whole: the real boto3 in a real process, against moto, into a real OTLP server or file."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from e2e.programs import (
    CSM_OTEL,
    DEADLINE_SECONDS,
    ONE_CALL,
    ONE_CALL_SENT,
    SENDER,
    SEVERAL_CALLS,
    environment,
    has_traceback,
    lines_of,
    run,
    run_exec,
    spans_in,
)
from faultproxy import FaultProxy
from faultrules import Rule
from otlp_backend import FOREVER_SECONDS, Answer, GrpcBackend, HttpBackend, wait_until
from platforms import ON_LINUX, on_linux

FAULTS = (
    Rule(kind="throttle", operation="ListTables", times=2),
    Rule(kind="denied", operation="GetCallerIdentity"),
    Rule(kind="missing", operation="HeadBucket"),
)
# 210 messages sent, the next one refused. Without the attempts, so that the smallest usual receive buffer has room for
# all of it until there is somebody to read.
LATE_FAILURE = """
import json, os, socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
now = int(time.time() * 1000)
call = {"Version": 1, "ClientId": os.environ["AWS_CSM_CLIENT_ID"], "Type": "ApiCall", "Service": "SQS"}
call |= {"Api": "SendMessage", "Latency": 1, "AttemptCount": 1, "FinalHttpStatusCode": 200}
for number in range(211):
    if number == 210:
        call |= {"FinalHttpStatusCode": 403, "FinalAwsException": "KmsAccessDenied"}
    event = json.dumps(call | {"Timestamp": now + number})
    sock.sendto(event.encode(), ("127.0.0.1", int(os.environ["AWS_CSM_PORT"])))
sys.exit(1)
"""
KEY, TOKEN = "AKIAQAAAAAAAGMKEM7X5", "FwoGZXIvYXdzEBYaDHqa0AP0canaryTOKENcanary/1234567890+abcdefghijklmnop="


@pytest.mark.parametrize("backend_type", [HttpBackend, GrpcBackend], ids=["http", "grpc"])
def test_a_script_becomes_one_trace_at_the_back_end(
    moto_port: int, backend_type: type[HttpBackend | GrpcBackend]
) -> None:
    """The command is the root, calls are below it, attempts below their calls, with the answers' request ids."""
    with backend_type() as backend, FaultProxy(moto_port, FAULTS) as proxy:
        protocol = "grpc" if backend_type is GrpcBackend else "http/protobuf"
        otel = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": backend.url, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
        done = run_exec(SEVERAL_CALLS, env=environment(proxy.port, **otel))
        answers = proxy.answers
    assert done.returncode == 3
    assert not has_traceback(done.stderr)
    spans = backend.spans
    assert len({span.trace_id for span in spans}) == 1
    assert f"trace {spans[0].trace_id.hex()} delivered to {backend.url}" in done.stderr.decode()
    roots = [span for span in spans if not span.parent_span_id]
    assert [root.name for root in roots] == [Path(sys.executable).name]
    calls = [span for span in spans if span.parent_span_id == roots[0].span_id]
    assert [call.name for call in sorted(calls, key=lambda call: call.start_time_unix_nano)] == [
        "DynamoDB.ListTables",
        "S3.ListBuckets",
        "S3.HeadBucket",
        "STS.GetCallerIdentity",
    ]
    attempts = [span for span in spans if span not in (*roots, *calls)]
    assert {attempt.parent_span_id for attempt in attempts} == {call.span_id for call in calls}
    ids = sorted(_attribute(attempt, "aws.request_id") for attempt in attempts)
    assert ids == sorted(answer.request_id for answer in answers)
    throttled = [attempt for attempt in attempts if attempt.name == "DynamoDB.ListTables attempt"]
    assert [_attribute(attempt, "csm.attempt.number") for attempt in throttled] == [1, 2, 3]
    assert [attempt.status.code for attempt in throttled] == [2, 2, 0]


def _attribute(span: Any, key: str) -> Any:
    values = [item.value for item in span.attributes if item.key == key]
    return getattr(values[0], values[0].WhichOneof("value")) if values else None


def test_the_file_holds_what_the_endpoint_answered(moto_port: int, tmp_path: Path) -> None:
    """`--file`: calls and attempts equal the endpoint's answers by request id, status and parent; one trace id."""
    file, script = tmp_path / "out.jsonl", tmp_path / "legacy.py"
    script.write_text(SEVERAL_CALLS, encoding="utf-8")
    with FaultProxy(moto_port, FAULTS) as proxy:
        done = run("exec", "--file", file, "--", sys.executable, script, env=environment(proxy.port))
        answers = {answer.request_id: answer for answer in proxy.answers}
    assert done.returncode == 3
    spans = spans_in(file)
    assert {span["traceId"] for span in spans} == {spans[0]["traceId"]}
    assert re.fullmatch(r"[0-9a-f]{32}", spans[0]["traceId"])
    by_id = {span["spanId"]: span for span in spans}
    (root,) = [span for span in spans if not span.get("parentSpanId")]
    assert (root["name"], root["attributes"]["process.exit.code"], root["kind"]) == ("legacy.py", "3", 3)
    assert {span["resource"]["service.name"] for span in spans} == {"legacy.py"}
    attempts = [span for span in spans if span["name"].endswith(" attempt")]
    seen = {span["attributes"]["aws.request_id"]: span for span in attempts}
    assert seen.keys() == answers.keys()
    for request_id, attempt in seen.items():
        call = by_id[attempt["parentSpanId"]]
        assert int(attempt["attributes"]["http.response.status_code"]) == answers[request_id].status
        assert call["name"].endswith(f".{answers[request_id].operation}")
        assert call["parentSpanId"] == root["spanId"]
        assert int(call["startTimeUnixNano"]) <= int(attempt["startTimeUnixNano"])
        assert int(attempt["endTimeUnixNano"]) <= int(call["endTimeUnixNano"])
    outcomes = {
        span["name"]: span["attributes"].get("error.type")
        for span in spans
        if span.get("parentSpanId") == root["spanId"]
    }
    assert outcomes == {
        "DynamoDB.ListTables": None,
        "S3.ListBuckets": None,
        "S3.HeadBucket": "404",
        "STS.GetCallerIdentity": "AccessDenied",
    }


def test_the_trace_of_the_environment_is_joined(moto_port: int, tmp_path: Path) -> None:
    """The command's span is a child of TRACEPARENT, and the command sees itself as the parent of what it does."""
    file = tmp_path / "out.jsonl"
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    script = f"import os; print(os.environ['TRACEPARENT'], os.environ['TRACESTATE'], os.environ['BAGGAGE'])\n{ONE_CALL}"
    env = environment(moto_port, TRACEPARENT=parent, TRACESTATE="a=b", BAGGAGE="c=d")
    done = run_exec(script, "--file", file, env=env)
    traceparent, *rest = done.stdout.decode().split()
    spans = spans_in(file)
    assert {span["traceId"] for span in spans} == {parent.split("-")[1]}
    (root,) = [span for span in spans if "process.exit.code" in span["attributes"]]
    assert root["parentSpanId"] == parent.split("-")[2]
    assert traceparent == f"00-{root['traceId']}-{root['spanId']}-01"
    assert rest == ["a=b", "c=d"]
    assert {span["traceState"] for span in spans} == {"a=b"}


def test_the_trace_of_xray_is_joined(tmp_path: Path) -> None:
    """With its propagator and ids, the command's span is below that of AWS, and the command sees itself as parent."""
    file = tmp_path / "out.jsonl"
    root, parent = "5759e988bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
    env = environment(
        OTEL_PROPAGATORS="tracecontext,xray",
        OTEL_PYTHON_ID_GENERATOR="xray",
        _X_AMZN_TRACE_ID=f"Root=1-{root[:8]}-{root[8:]};Parent={parent};Sampled=1",
        TRACEPARENT="hunter2",
    )
    script = ["sh", "-c", 'echo "$_X_AMZN_TRACE_ID"; exec "$@"', "sh", *ONE_CALL_SENT]
    done = run("exec", "--file", file, "--", *script, env=env)
    spans = spans_in(file)
    (command,) = [span for span in spans if "process.exit.code" in span["attributes"]]
    assert {span["traceId"] for span in spans} == {root}
    assert (len(spans), command["parentSpanId"]) == (3, parent)
    assert done.stdout.decode() == f"Root=1-{root[:8]}-{root[8:]};Parent={command['spanId']};Sampled=1\n"
    assert len([line for line in lines_of(done.stderr) if "TRACEPARENT is not joined: " in line]) == 1
    assert b"hunter2" not in done.stderr


def test_one_fault_spoils_nothing_else() -> None:
    """A variable that cannot be used is ignored; the others apply."""
    env = environment(OTEL_EXPORTER_OTLP_ENDPOINT="nonsense", OTEL_TRACES_SAMPLER="always_off")
    done = run("exec", "--", *ONE_CALL_SENT, env=env)
    assert done.returncode == 0
    assert b"OTEL_EXPORTER_OTLP_ENDPOINT: " in done.stderr
    assert b"3 spans not sampled" in done.stderr


def test_one_bad_destination_spoils_no_other(tmp_path: Path) -> None:
    """A file that cannot be written does not affect the back end, nor a bad certificate the file."""
    with HttpBackend() as backend:
        env = environment(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=backend.url)
        done = run("exec", "--file", "/no/such/folder/file", "--", *ONE_CALL_SENT, env=env)
    assert b"--file: /no/such/folder/file: " in done.stderr
    assert len(backend.spans) == 3
    file = tmp_path / "out.jsonl"
    bad = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/no/such.pem"}
    done = run("exec", "--file", file, "--", *ONE_CALL_SENT, env=environment(**bad))
    assert b"OTEL_EXPORTER_OTLP_CERTIFICATE: " in done.stderr
    assert b"S3.ListBuckets" in done.stderr
    assert len(spans_in(file)) == 3


def test_json_arrives_at_the_back_end() -> None:
    """With `http/json` spans and metrics are sent as JSON, and counted as delivered."""
    with HttpBackend() as backend:
        env = environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL="http/json",
            OTEL_METRICS_EXPORTER="otlp",
        )
        done = run("exec", "--", *ONE_CALL_SENT, env=env)
    assert (done.returncode, len(backend.spans), len(backend.points("csm_otel.calls"))) == (0, 3, 1)
    assert backend.headers[0]["content-type"] == "application/json"
    assert b"3 spans delivered" in done.stderr


def test_a_unix_socket_is_the_back_end(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A target of gRPC needs no other variable, and is shown as it is."""
    url = f"unix://{tmp_path_factory.mktemp('s') / 'o.sock'}"
    with GrpcBackend(target=url) as backend:
        done = run("exec", "--", *ONE_CALL_SENT, env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=url))
    assert (done.returncode, len(backend.spans)) == (0, 3)
    assert f"delivered to {url}\n" in done.stderr.decode()


def test_an_unsampled_trace_is_honoured_and_counted() -> None:
    """Nothing is exported below a parent that is not sampled; the tally counts it."""
    with HttpBackend() as backend:
        env = environment(
            TRACEPARENT="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=backend.url,
        )
        done = run("exec", "--", *ONE_CALL_SENT, env=env)
    assert (done.returncode, backend.requests) == (0, [])
    assert b"3 spans not sampled" in done.stderr


def test_the_embedded_default_sends_nothing(moto_port: int) -> None:
    """Without an exporter or endpoint it connects to nothing and prints no complaint."""
    audit = (
        "import sys; from csm_otel.commands.cli import main\n"
        "sys.addaudithook(lambda event, args: event == 'socket.connect' and print('CONNECT', file=sys.stderr))\n"
        f"code = main(['exec', '--', sys.executable, '-c', {ONE_CALL!r}])\n"
        "print(sorted({'grpc', 'requests'} & set(sys.modules)), file=sys.stderr)\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", audit], env=environment(moto_port), capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0
    assert b"CONNECT" not in done.stderr
    assert done.stderr.endswith(b"[]\n")
    assert b"S3.ListBuckets" in done.stderr


@pytest.mark.parametrize("flags", [["--quiet"], ["--output", "report.txt"]], ids=["quiet", "output"])
def test_the_commands_bytes_are_kept(tmp_path: Path, flags: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """stdin, stdout and stderr are the same with and without the wrapper; waterfall and tally go to `--output`."""
    monkeypatch.chdir(tmp_path)
    command = [
        sys.executable,
        "-c",
        "import sys; d = sys.stdin.buffer.read(); sys.stdout.buffer.write(d); sys.stderr.buffer.write(d[::-1])",
    ]
    data = bytes(range(256)) * 50
    plain = subprocess.run(command, input=data, capture_output=True, check=True)
    wrapped = run("exec", *flags, "--", *command, env=environment(), stdin=data)
    assert (wrapped.returncode, wrapped.stdout, wrapped.stderr) == (0, plain.stdout, plain.stderr)
    report = tmp_path / "report.txt"
    assert report.exists() == ("--output" in flags)
    if report.exists():
        assert report.stat().st_mode & 0o777 == 0o600
        assert "no AWS calls seen" in report.read_text(encoding="utf-8")


def test_output_to_stdout() -> None:
    """With `--output -` everything follows what the command has printed; if nobody reads it, the result stands."""
    command = [*CSM_OTEL, "exec", "--output", "-", "--", "sh", "-c", "echo ran; exit 7"]
    done = subprocess.run(command, env=environment(), capture_output=True, check=False, timeout=DEADLINE_SECONDS)
    assert (done.returncode, done.stderr) == (7, b"")
    assert done.stdout.startswith(b"ran\ncsm-otel: no AWS calls seen in ")

    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*command[:-1], "exit 7"],
        env=environment(), stdout=writer, stderr=subprocess.PIPE, check=False, timeout=DEADLINE_SECONDS,
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (7, b"csm-otel: --output: stdout: broken pipe\n")


@pytest.mark.parametrize(
    ("flags", "env", "line"),
    [
        pytest.param([], {"OTEL_EXPORTER_OTLP_ENDPOINT": "nonsense"}, "OTEL_EXPORTER_OTLP_ENDPOINT: ", id="endpoint"),
        pytest.param([], {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, "connection refused", id="unreachable"),
        pytest.param(
            [],
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://no-such-host.invalid:4318"},
            "no-such-host.invalid",
            id="unresolvable",
        ),
        pytest.param(
            [],
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://192.0.2.1:4318",
                "all_proxy": "socks5://user:hunter2@10.0.0.1:1080",
            },
            "SOCKS is not supported: proxy socks5://10.0.0.1:1080, for http://192.0.2.1:4318/v1/traces",
            id="socks",
        ),
        pytest.param(
            [],
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/no/such.pem"},
            "OTEL_EXPORTER_OTLP_CERTIFICATE: ",
            id="certificate",
        ),
        pytest.param(
            [],
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1", "REQUESTS_CA_BUNDLE": "/no/such.pem"},
            "REQUESTS_CA_BUNDLE: no such file or directory",
            id="bundle",
        ),
        pytest.param(["--file", "/no/such/folder/file"], {}, "/no/such/folder/file", id="file"),
        pytest.param(["--output", "/no/such/folder/file"], {}, "/no/such/folder/file", id="output"),
        pytest.param([], {"CSM_OTEL_GRACE_SECONDS": "soon"}, "CSM_OTEL_GRACE_SECONDS: ", id="ours"),
        pytest.param([], {"OTEL_TRACES_SAMPLER": "sometimes"}, "OTEL_TRACES_SAMPLER: ", id="sampler"),
        pytest.param([], {"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER: ", id="exporter"),
        pytest.param([], {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "few"}, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: ", id="limit"),
        pytest.param([], {"OTEL_BSP_SCHEDULE_DELAY": "99999999999999"}, "OTEL_BSP_SCHEDULE_DELAY: ", id="delay"),
        pytest.param([], {"OTEL_PYTHON_CONTEXT": "foo", "CSM_OTEL_PORT": "x"}, "CSM_OTEL_PORT: ", id="sdk import"),
        pytest.param([], {"OTEL_RESOURCE_ATTRIBUTES": "a"}, "OTEL_RESOURCE_ATTRIBUTES: ", id="resource"),
    ],
)
def test_bad_surroundings_leave_the_command_alone(flags: list[str], env: dict[str, str], line: str) -> None:
    """Anything unusable is reported in one line after the command, which runs and whose result stands."""
    done = run("exec", "--drain-seconds", "0.3", *flags, "--", "sh", "-c", "echo ran; exit 7", env=environment(**env))
    assert (done.returncode, done.stdout) == (7, b"ran\n")
    assert len([one for one in lines_of(done.stderr) if line in one and "delivered to " not in one]) == 1
    assert not has_traceback(done.stderr)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        pytest.param(["sh", "-c", "exit 0"], 0, id="success"),
        pytest.param(["sh", "-c", "exit 41"], 41, id="the command's own"),
        pytest.param(["sh", "-c", "kill -TERM $$"], 143, id="128+n for a signal"),
        pytest.param(["no-such-command"], 127, id="not found"),
        pytest.param(["/"], 126, id="not executable"),
    ],
)
def test_exit_codes(command: list[str], code: int) -> None:
    """The exit code is the command's, as a shell gives it."""
    done = run("exec", "--", *command, env=environment())
    assert done.returncode == code
    assert not has_traceback(done.stderr)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["exec", "--no-such-flag", "--", "touch", "ran"], id="unknown flag"),
        pytest.param(["exec", "--grace-seconds", "soon", "--", "touch", "ran"], id="bad value"),
        pytest.param(["exec", "--pending-bytes", "5", "--", "touch", "ran"], id="out of range"),
        pytest.param(["exec", "--messages", "all", "--", "touch", "ran"], id="bad choice"),
        pytest.param(["exec"], id="no command"),
        pytest.param([], id="no subcommand"),
    ],
)
def test_bad_flags_start_nothing(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad flags end with 2 before the command is started."""
    monkeypatch.chdir(tmp_path)
    done = run(*arguments, env=environment())
    assert done.returncode == 2
    assert len(lines_of(done.stderr)) == len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("code", [0, 3])
def test_nested(code: int) -> None:
    """The outer one says that a nested one saw the calls, over any distance, and otherwise nothing is different."""
    nested = [*CSM_OTEL, "exec", "--quiet", "--", *CSM_OTEL, "exec", "--quiet", "--"]
    command = [*ONE_CALL_SENT[:-1], str(code)] if code else ["sh", "-c", "exit 0"]
    done = run("exec", "--", *nested, *command, env=environment())

    [line] = done.stderr.decode().splitlines()
    assert (done.returncode, "no AWS calls seen in " in line) == (code, True)
    assert line.endswith(": 1 call seen by a nested csm-otel exec instead") == bool(code)


@pytest.mark.parametrize("locale", [{}, {"LANG": "C"}, {"LC_CTYPE": "C"}, {"LANG": "C.UTF-8"}], ids=str)
def test_the_commands_environment_is_kept(locale: dict[str, str]) -> None:
    """Only the CSM variables and the trace context are added, even in a C locale, where Python changes its own."""
    env = {"PATH": os.environ["PATH"], "TRACESTATE": "a=b", **locale}
    program = "env | grep -v ^_="
    plain = subprocess.run(["sh", "-c", program], env=env, capture_output=True, check=True, text=True)
    wrapped = run("exec", "--quiet", "--", "sh", "-c", program, env=env)
    changed = {line.partition("=")[0] for line in set(wrapped.stdout.decode().split()) ^ set(plain.stdout.split())}
    added = {"AWS_CSM_ENABLED", "AWS_CSM_HOST", "AWS_CSM_PORT", "AWS_CSM_CLIENT_ID", "TRACEPARENT"}
    if not ON_LINUX:
        changed.discard("LC_CTYPE")  # without /proc C cannot be distinguished from unset, which means the same
    assert changed == added | {"TRACESTATE"}  # which belonged to another trace


def test_another_propagators_context_is_left_alone() -> None:
    """Where the propagator is another one, neither TRACEPARENT nor TRACESTATE is changed."""
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    env = environment(OTEL_PROPAGATORS="b3", TRACEPARENT=parent, TRACESTATE="a=b")
    done = run("exec", "--quiet", "--", "sh", "-c", "echo $TRACEPARENT $TRACESTATE", env=env)
    assert done.stdout.decode().split() == [parent, "a=b"]


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        pytest.param(["exec", "--", "printf", "%s\n", "a", "--", "b"], ["a", "--", "b"], id="behind ours"),
        pytest.param(["exec", "printf", "%s\n", "a", "--", "b"], ["a", "--", "b"], id="without ours"),
        pytest.param(["exec", "--quiet", "printf", "%s\n", "--quiet"], ["--quiet"], id="its flags"),
    ],
)
def test_the_commands_arguments_are_kept(arguments: list[str], printed: list[str]) -> None:
    """Everything after the command's name is passed on unchanged, including another --."""
    done = run(*arguments, env=environment())
    assert done.stdout.decode().split() == printed


def test_a_missing_command_is_reported_even_if_quiet() -> None:
    """The line that a shell would print is also printed with --quiet."""
    done = run("exec", "--quiet", "--", "no-such-command", env=environment())
    assert (done.returncode, done.stderr) == (127, b"csm-otel: no-such-command: command not found\n")


@on_linux
def test_an_output_that_fails_is_reported() -> None:
    """A waterfall and tally that cannot be written to --output are reported on stderr."""
    done = run("exec", "--output", "/dev/full", "--", "true", env=environment())
    assert (done.returncode, done.stderr) == (0, b"csm-otel: --output: /dev/full: no space left on device\n")


_FLOOD = """
import os, socket, subprocess, sys, time
if len(sys.argv) == 1:
    child = subprocess.Popen([sys.executable, __file__, "x"], stdout=subprocess.PIPE, stderr=-3, stdin=-3)
    child.stdout.readline()
    sys.exit()
peer = ("127.0.0.1", int(os.environ["AWS_CSM_PORT"]))
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("up", flush=True)
end = time.monotonic() + 120
while time.monotonic() < end and os.path.exists(__file__):
    sock.sendto(b"{}", peer)
"""


def test_a_child_that_keeps_sending_delays_nothing(tmp_path: Path) -> None:
    """A child left behind that never stops sending neither delays the wrapper nor gets into the trace."""
    script = tmp_path / "flood.py"
    script.write_text(_FLOOD, encoding="utf-8")
    try:
        done = run("exec", "--", sys.executable, script, env=environment())
    finally:
        script.unlink()  # which ends the child
    assert done.returncode == 0
    assert b"arrived too late" in done.stderr


# The child sends when the gate exists, and then creates `sent`.
_LATE = """
import os, pathlib, socket, subprocess, sys, time
if len(sys.argv) == 1:
    subprocess.Popen([sys.executable, __file__, "child"], stdout=-3, stderr=-3, stdin=-3)
    sys.exit()
folder = pathlib.Path(__file__).parent
end = time.monotonic() + 120
while time.monotonic() < end and not (folder / "gate").exists():
    time.sleep(0.01)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    for _ in range(3):
        sock.sendto(b"{}", ("127.0.0.1", int(os.environ["AWS_CSM_PORT"])))
(folder / "sent").touch()
"""


def test_late_datagrams_of_a_child_are_counted(tmp_path: Path) -> None:
    """Datagrams from a background child that outlives the command are not read, but counted in the tally."""
    script = tmp_path / "leave.py"
    script.write_text(_LATE, encoding="utf-8")
    with HttpBackend() as backend:
        backend.script(Answer(delay_seconds=FOREVER_SECONDS))
        env = environment(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=backend.url, OTEL_EXPORTER_OTLP_TIMEOUT="600000")
        command = [*CSM_OTEL, "exec", "--drain-seconds", "600", "--", sys.executable, str(script)]
        with subprocess.Popen(command, env=env, stderr=subprocess.PIPE) as process:
            backend.wait_for_requests(1)  # the command has ended, and what it sent has been read
            (tmp_path / "gate").touch()
            wait_until((tmp_path / "sent").exists)
            backend.release()
            _, stderr = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0
    assert b"3 datagrams arrived too late" in stderr


# csm-otel, but the command has sent before it asks for times of receipt, and ends before it reads the socket.
_SLOW = """
import pathlib, sys, time
from csm_otel import __main__ as program
from csm_otel.commands import watch

folder, watched = pathlib.Path(sys.argv.pop(1)), watch.watch

def slow(child, *rest):
    while not (folder / "sent").exists():
        time.sleep(0.01)
    watch.begin_collection = lambda: end(child)
    return watched(child, *rest)

def end(child):
    (folder / "gate").touch()
    while child.poll() is None:
        time.sleep(0.01)

watch.watch = slow
sys.exit(program.main())
"""
_SENT_EARLY = """
import pathlib, subprocess, sys, time
folder = pathlib.Path(sys.argv[1])
subprocess.run(sys.argv[2:])
(folder / "sent").touch()
end = time.monotonic() + 120
while time.monotonic() < end and not (folder / "gate").exists():
    time.sleep(0.01)
"""


def test_what_was_sent_before_times_were_asked_for(tmp_path: Path) -> None:
    """It is not late, although its time of receipt may be that of the reading."""
    command = [sys.executable, "-c", _SENT_EARLY, str(tmp_path), *ONE_CALL_SENT]
    done = subprocess.run(
        [sys.executable, "-c", _SLOW, str(tmp_path), "exec", "--", *command],
        env=environment(),
        capture_output=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert (done.returncode, b"2 datagrams received" in done.stderr, b"late" in done.stderr) == (0, True, False)


@pytest.mark.parametrize(
    ("flags", "env", "name"),
    [
        pytest.param(["--name", "flag"], {"AWS_CSM_CLIENT_ID": "inherited"}, "flag", id="flag"),
        pytest.param([], {"CSM_OTEL_NAME": "variable", "AWS_CSM_CLIENT_ID": "inherited"}, "variable", id="variable"),
        pytest.param(
            [], {"AWS_CSM_CLIENT_ID": "inherited", "OTEL_SERVICE_NAME": "service"}, "inherited", id="client id"
        ),
        pytest.param([], {"OTEL_SERVICE_NAME": "größe", "OTEL_RESOURCE_ATTRIBUTES": "a=b"}, "größe", id="service"),
        pytest.param([], {"OTEL_RESOURCE_ATTRIBUTES": "service.name=res%20ource"}, "res ource", id="resource"),
        pytest.param([], {}, "legacy.py", id="command"),
    ],
)
def test_the_service_name(tmp_path: Path, flags: list[str], env: dict[str, str], name: str) -> None:
    """service.name is the name set nearest to the command, else the script's; the root span is named by the script."""
    file, script = tmp_path / "out.jsonl", tmp_path / "legacy.py"
    script.write_bytes(SENDER.read_bytes())
    run("exec", *flags, "--file", file, "--", sys.executable, script, "exit", "0", env=environment(**env))
    spans = spans_in(file)
    assert {span["resource"]["service.name"] for span in spans} == {name}
    assert {span["name"] for span in spans} == {"legacy.py", "S3.ListBuckets", "S3.ListBuckets attempt"}


def test_quiet_by_variable() -> None:
    """CSM_OTEL_QUIET=true is --quiet."""
    done = run("exec", "--", "sh", "-c", "exit 4", env=environment(CSM_OTEL_QUIET="true"))
    assert (done.returncode, done.stdout, done.stderr) == (4, b"", b"")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("cost%2Ccentre=4%2C2,team=blue", {"cost,centre": "4,2", "team": "blue"}, id="percent-encoded"),
        pytest.param("team=blue,rubbish", {}, id="a pair in error"),
        pytest.param("rubbish,team=blue", {}, id="a pair in error first"),
    ],
)
def test_resource_attributes(text: str, expected: dict[str, str], tmp_path: Path) -> None:
    """Each attribute is exported once, decoded; if a pair is malformed none is."""
    file = tmp_path / "spans.jsonl"
    done = run("exec", "--file", file, "--", "true", env=environment(OTEL_RESOURCE_ATTRIBUTES=text))
    (span,) = spans_in(file)
    given = {name: value for name, value in span["resource"].items() if "cost" in name or name in {"team", "rubbish"}}

    assert given == expected
    assert (b"OTEL_RESOURCE_ATTRIBUTES: " in done.stderr) is not bool(expected)


def test_what_ended_a_long_script_is_shown() -> None:
    """The failure of call 211 is in the waterfall, although the calls before it are one line."""
    done = run_exec(LATE_FAILURE, env=environment(OTEL_TRACES_EXPORTER="console"))
    said = done.stderr.decode()
    assert done.returncode == 1
    assert re.search(r"^. \+.+  SQS.SendMessage .+  403 KmsAccessDenied$", said, re.MULTILINE)
    assert re.search(r"^ +\+.+  SQS.SendMessage x210 .+  p50 1 ms, max 1 ms$", said, re.MULTILINE)
    assert "\n211 calls, 1 failed, " in said


def test_disabled_means_untouched() -> None:
    """With OTEL_SDK_DISABLED=true the command runs as without the wrapper."""
    script = "import os; print([name for name in os.environ if name.startswith('AWS_CSM_') or name == 'TRACEPARENT'])"
    done = run_exec(script, env=environment(OTEL_SDK_DISABLED="true"))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"[]\n", b"")


def test_no_output_holds_a_credential(moto_port: int, tmp_path: Path) -> None:
    """A planted key and token, quoted whole and cut in error messages, occur in no byte of any output."""
    message = f"The key {KEY} with {TOKEN} is bad; SignatureProvided {TOKEN[:40]}"
    rules = (Rule(kind="error", operation="ListTables", status=400, code="Bad", message=message, times=None),)
    failing = "import boto3\ntry:\n    boto3.client('dynamodb').list_tables()\nexcept Exception: pass\n"
    script = failing + ONE_CALL
    file, report = tmp_path / "out.jsonl", tmp_path / "report.txt"
    with HttpBackend() as backend, FaultProxy(moto_port, rules) as proxy:
        env = environment(
            proxy.port,
            AWS_ACCESS_KEY_ID=KEY,
            AWS_SESSION_TOKEN=TOKEN,
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=backend.url,
            OTEL_TRACES_EXPORTER="otlp,console",
        )
        done = run_exec(script, "--file", file, "--output", report, env=env)
    sent = b"".join(request.SerializeToString() for request in backend.requests)
    everything = done.stdout + done.stderr + file.read_bytes() + report.read_bytes() + sent
    assert b"ListTables" in sent
    assert b"is bad" in sent
    for secret in (KEY, TOKEN):
        pieces = {secret[at : at + 16].encode() for at in range(len(secret) - 15)}
        assert not [piece for piece in pieces if piece in everything]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGRTMIN + 3])
def test_signals_reach_the_command_and_the_trace_is_kept(number: int) -> None:
    """A signal to the wrapper alone is forwarded to the command; its result and its trace are complete."""
    script = (
        "import signal, sys, time; signal.signal(int(sys.argv[1]), lambda *_: sys.exit(9)); print('up', flush=True); "
        "time.sleep(60)"
    )
    process = subprocess.Popen(
        [*CSM_OTEL, "exec", "--", sys.executable, "-c", script, str(int(number))],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 9
    assert b", exit 9; " in err


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_back_end_that_is_not_there(protocol: str) -> None:
    """Where nothing has ever listened, the end is not waited for: here for an hour."""
    env = environment(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    done = run("exec", "--drain-seconds", "3600", "--", *ONE_CALL_SENT, env=env)

    assert done.returncode == 0
    assert b"connection refused" in done.stderr
    assert b"3 spans dropped" in done.stderr


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_back_end_of_metrics_that_is_not_there(protocol: str) -> None:
    """The end is not waited for either, whatever time an export may take."""
    env = environment(
        OTEL_TRACES_EXPORTER="none",
        OTEL_METRICS_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_EXPORTER_OTLP_TIMEOUT="3600000",
        OTEL_METRIC_EXPORT_TIMEOUT="3600000",
    )
    done = run("exec", "--drain-seconds", "3600", "--", *ONE_CALL_SENT, env=env)

    assert done.returncode == 0
    assert b"back end does not accept metrics: connection refused" in done.stderr


def test_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    """A command with such a name has its files, whatever its exit code."""
    script = os.fsdecode(os.fsencode(tmp_path) + b"/a\xff.sh")
    Path(script).write_text(f"#!/bin/sh\n{' '.join(ONE_CALL_SENT)}\nexit 3\n", encoding="utf-8")
    Path(script).chmod(0o755)
    names = {flag: tmp_path / flag for flag in ("summary-json", "chrome-trace", "report", "policy")}
    flags = [word for flag, path in names.items() for word in (f"--{flag}", path)]
    command = [*CSM_OTEL, "exec", *flags, "--", script]
    done = subprocess.run(command, env=environment(), capture_output=True, check=False, timeout=DEADLINE_SECONDS)

    assert done.returncode == 3
    assert b"tracing failed" not in done.stderr
    assert [path for path in names.values() if not path.exists()] == []
