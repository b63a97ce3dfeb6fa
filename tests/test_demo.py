"""The demo: the old backup script against moto behind the fault proxy, alone and as `make demo` runs it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import demo
import pytest
from children.processes import next_line, started
from faultproxy import Answer, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

DEMO = Path(demo.__file__)
DEADLINE_SECONDS = 60.0
MADE = {
    "GetCallerIdentity": 1,
    "ListBuckets": 1,
    "CreateBucket": 1,
    "GetObject": 1,
    "HeadObject": 1,
    "PutObject": 7,
    "CreateTable": 1,
    "DescribeTable": 1,
    "ListObjectsV2": 3,
    "PutItem": 9,  # seven items, one of them in three attempts
    "CreateQueue": 1,
    "SendMessage": 1,
}
# The thread that does not block the signal handles it, so the other one's wait is not interrupted.
SIGNAL_AT_THE_END = """
import demo, os, signal, sys, threading

# Another thread gets the signal, so that the main one notices it only when its wait returns.
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
# The command reads a byte when its end is waited for, and another when the signal has arrived.
command_stdin, to_command = os.pipe()
os.dup2(command_stdin, 0)
os.set_blocking(to_command, False)
signal.set_wakeup_fd(to_command)
wait = threading.Event.wait

def let_the_command_end(event, timeout=None):
    if sys._getframe(1).f_code is demo.run.__code__:
        os.write(to_command, b"w")
    return wait(event, timeout)

threading.Event.wait = let_the_command_end
command = "import os, signal; os.read(0, 1); os.kill(os.getppid(), signal.SIGINT); os.read(0, 1); os._exit(7)"
sys.exit(demo.run([sys.executable, "-c", command], os.environ))
"""


class Backup:
    """One run of the script, with the proxy's answers and boto3's UDP reports."""

    def __init__(self, ended: subprocess.CompletedProcess[str], answers: list[Answer], events: list[Any]) -> None:
        self.ended = ended
        self.answers = answers
        self.attempts = [event for event in events if event["Type"] == "ApiCallAttempt"]
        self.calls = [event for event in events if event["Type"] == "ApiCall"]


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backup]:
    """Run the script with CSM enabled by its environment, against moto through the proxy."""
    directory = tmp_path_factory.mktemp("files")
    for name, size in demo.FILES.items():
        (directory / name).write_text("x" * size)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener,
        demo.moto_server() as moto_port,
        FaultProxy(moto_port, demo.RULES) as proxy,
    ):
        listener.bind(("127.0.0.1", 0))
        listener.setblocking(False)
        environment = demo.environment_for(proxy.port, os.environ)
        environment |= {"AWS_CSM_ENABLED": "true", "AWS_CSM_PORT": str(listener.getsockname()[1])}
        ended = subprocess.run(
            [sys.executable, demo.SCRIPT, directory],
            env=environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        yield Backup(ended, proxy.answers, list(_events_in(listener)))


def _events_in(listener: socket.socket) -> Iterator[Any]:
    """Yield all sent events: loopback has delivered them before the sender's call returned."""
    for _ in range(1_000):
        try:
            yield json.loads(listener.recv(65_536))
        except BlockingIOError:
            return


def test_the_script_handles_the_faults(backup: Backup) -> None:
    """The script reports its steps, handles the refusal and the missing object, and succeeds."""
    assert (backup.ended.returncode, backup.ended.stderr) == (0, "")
    lines = backup.ended.stdout.splitlines()
    assert lines[0].startswith("backup as arn:aws:sts::")
    assert "(AccessDenied) when calling the GetObject operation" in lines[2]
    assert lines[3] == "no good backup before this one"
    # lines of two threads that print at once may be mixed
    assert set(re.findall(r"uploaded nightly/(\w+\.sql)", backup.ended.stdout)) == set(demo.FILES)
    assert lines[-2:] == ["7 objects in the catalog", "done"]


def test_the_answers(backup: Backup) -> None:
    """One item is throttled twice and then served, one object is refused, one not found, all else succeeds."""
    assert Counter(answer.operation for answer in backup.answers) == MADE
    assert [answer.status for answer in backup.answers if answer.operation == "PutItem"] == [
        *(200, 200),
        *(400, 400, 200),
        *(200, 200, 200, 200),
    ]
    unusual = [(answer.operation, answer.status, answer.fault) for answer in backup.answers if answer.status != 200]
    assert unusual == [
        ("GetObject", 403, "denied"),
        ("HeadObject", 404, None),
        ("PutItem", 400, "throttle"),
        ("PutItem", 400, "throttle"),
    ]


def test_boto3_reports_the_answers(backup: Backup) -> None:
    """Each answer is an attempt in boto3's datagrams, by request id, status and operation; the retries are one call."""
    reported = {event["XAmznRequestId"]: (event["Api"], event["HttpStatusCode"]) for event in backup.attempts}
    assert reported == {answer.request_id: (answer.operation, answer.status) for answer in backup.answers}
    assert len(backup.attempts) == len(backup.answers)
    assert [call["AttemptCount"] for call in backup.calls if call["Api"] == "PutItem"] == [1, 1, 3, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("inherited", "name", "expected"),
    [
        pytest.param({"PATH": "/bin"}, "PATH", "/bin", id="kept"),
        pytest.param({"TRACEPARENT": "00-1-2-01"}, "TRACEPARENT", "00-1-2-01", id="trace-context-kept"),
        pytest.param({"AWS_PROFILE": "prod"}, "AWS_PROFILE", None, id="profile-gone"),
        pytest.param({"AWS_SESSION_TOKEN": "t"}, "AWS_SESSION_TOKEN", None, id="token-gone"),
        pytest.param({"AWS_ENDPOINT_URL_S3": "http://s3"}, "AWS_ENDPOINT_URL_S3", None, id="service-endpoint-gone"),
        pytest.param({"AWS_ACCESS_KEY_ID": "mine"}, "AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE", id="key-replaced"),
        pytest.param({"https_proxy": "http://p"}, "https_proxy", None, id="lower-case-proxy-gone"),
        pytest.param({"HTTP_PROXY": "http://p"}, "HTTP_PROXY", None, id="upper-case-proxy-gone"),
        pytest.param({}, "AWS_ENDPOINT_URL", "http://127.0.0.1:4711", id="endpoint"),
        pytest.param({}, "AWS_CONFIG_FILE", os.devnull, id="no-config"),
        pytest.param({}, "OTEL_TRACES_EXPORTER", None, id="no-collector"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, "OTEL_TRACES_EXPORTER", "otlp,console", id="both"),
        pytest.param(
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "otlp"},
            "OTEL_TRACES_EXPORTER",
            "otlp",
            id="as-the-user-has-it",
        ),
    ],
)
def test_the_environment(inherited: dict[str, str], name: str, expected: str | None) -> None:
    """None of the user's AWS or proxy settings are passed on; all others are."""
    assert demo.environment_for(4711, inherited).get(name) == expected


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        pytest.param("raise SystemExit(7)", 7, id="exit"),
        pytest.param("import os; os.kill(os.getpid(), 9)", 137, id="signal"),
    ],
)
def test_the_exit_code_is_the_commands(program: str, expected: int) -> None:
    """The code is passed on, a signal as 128+n."""
    assert demo.run([sys.executable, "-c", program], os.environ) == expected


def test_a_signal_as_the_command_ends_does_not_cost_the_exit_code() -> None:
    """The code is also passed on if Ctrl-C is noticed only when the wait for the command returns."""
    with started([sys.executable, "-c", SIGNAL_AT_THE_END], extra={"PYTHONPATH": str(DEMO.parent)}) as process:
        assert process.wait(DEADLINE_SECONDS) == 7


def test_moto_that_does_not_start_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the last line of a failing moto, without its traceback."""
    monkeypatch.setattr(demo, "MOTO", "import no_such_moto")
    with contextlib.ExitStack() as stack, pytest.raises(RuntimeError, match="no_such_moto") as raised:
        stack.enter_context(demo.moto_server())
    assert str(raised.value) == "moto did not start: ModuleNotFoundError: No module named 'no_such_moto'"


def test_the_demo_shows_the_waterfall(tmp_path: Path) -> None:
    """`examples/demo.py` succeeds and shows the three attempts with their pauses, the refusal and the 404."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "CSM_OTEL_"))}
    ended = subprocess.run(
        [sys.executable, DEMO],
        env=environment | {"PYTHONIOENCODING": "utf-8"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "done"
    lines = ended.stderr.splitlines()
    assert [line[:6] for line in lines[:2]] == ["demo: ", "demo: "]

    (start,) = (place for place, line in enumerate(lines) if "PutItem" in line and "3 attempts" in line)
    expected = [
        r"attempt 1 .* ms  400 ProvisionedThroughput",
        r" ms  back-off$",
        r"attempt 2 .* ms  400 ProvisionedThroughput",
        r" ms  back-off$",
        r"attempt 3 .* ms  200$",
    ]
    for line, pattern in zip(lines[start + 1 :], expected, strict=False):
        assert re.search(pattern, line)
    assert any("GetObject" in line and line.endswith("403 AccessDenied") for line in lines)
    assert any("HeadObject" in line and line.endswith("  404") for line in lines)
    assert any(line.startswith("26 calls, 2 failed, 1 retried, 1 throttled; ") for line in lines)


@pytest.mark.parametrize(
    ("signal_sent", "to_group"),
    [
        pytest.param(signal.SIGTERM, False, id="terminated"),
        pytest.param(signal.SIGINT, True, id="ctrl-c"),
    ],
)
def test_a_demo_that_is_stopped_leaves_nothing(tmp_path: Path, signal_sent: signal.Signals, *, to_group: bool) -> None:
    """A signal during the run ends the command as well, and the files are removed."""
    for _ in range(5):  # on a busy machine the script may end before the signal arrives
        code, printed = _stopped(tmp_path, signal_sent, to_group=to_group)
        if "done" not in printed:
            break

    assert code == 128 + signal_sent
    assert list(tmp_path.iterdir()) == []


def _stopped(tmp_path: Path, signal_sent: signal.Signals, *, to_group: bool) -> tuple[int, str]:
    extra = {"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with started([sys.executable, str(DEMO)], extra=extra) as process:
        assert next_line(process.stdout).startswith("backup as ")
        send = os.killpg if to_group else os.kill
        send(process.pid, signal_sent)
        printed, _ = process.communicate(timeout=DEADLINE_SECONDS)  # ends when no process holds the pipes any more
        return process.returncode, printed.decode()
