"""`csm-otel doctor` as a whole: no finding on a sound system, each footgun named, and an end by Ctrl-C."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from e2e.programs import CSM_OTEL, DEADLINE_SECONDS, environment, has_traceback, run, serving
from forward_proxy import ForwardProxy
from otlp_backend import Answer, Certificate, GrpcBackend, HttpBackend
from platforms import on_linux

if TYPE_CHECKING:
    from pathlib import Path

SMALL = {"CSM_OTEL_RECEIVE_BUFFER_BYTES": "4096", "CSM_OTEL_TIMEOUT": "60", "OTEL_EXPORTER_OTLP_TIMEOUT": "60000"}
"""A buffer that every machine grants, and time enough for a busy one."""
ON = "csm_enabled = true\n"


def sound(folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of a sound system, whatever the machine of the tests is like."""
    return environment(HOME=str(folder), AWS_CONFIG_FILE=str(folder / "config"), **{**SMALL, **more})


def codes(*arguments: str | Path, env: dict[str, str]) -> list[str]:
    """Return the codes that doctor finds, and check that its exit code says whether there are any."""
    done = run("doctor", "--port", "1", "--json", *arguments, env=env)
    document = json.loads(done.stdout)
    found = [finding["code"] for check in document["checks"] for finding in check["findings"]]
    assert (done.returncode, done.stderr) == (1 if found else 0, b"")
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a home without any settings of AWS."""
    (tmp_path / "config").touch()
    return tmp_path


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
def test_a_sound_system(protocol: str, folder: Path) -> None:
    """Nothing is found, the canary span has arrived, and the SDK of the script is named."""
    script = folder / "script.py"
    script.write_text("import boto3\nraise SystemExit('it was run')\n", encoding="utf-8")
    with GrpcBackend() if protocol == "grpc" else HttpBackend() as backend:
        env = sound(folder, OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
        done = run("doctor", "--port", "1", "--canary", "--", sys.executable, script, env=env)
        (span,) = backend.spans

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.endswith(b"\nno findings\n")
    assert f"trace {span.trace_id.hex()}".encode() in done.stdout
    assert b" has CSM; " in done.stdout


@on_linux
@pytest.mark.parametrize(
    ("enabled", "found"),
    [("true", []), ("1", ["csm-enabled-value"]), ("", ["csm-disabled"]), (None, ["csm-not-enabled"])],
)
def test_beside_a_daemon(enabled: str | None, found: list[str], folder: Path) -> None:
    """A daemon is recognized by its control socket; scripts beside it need the variables."""
    control = folder / "control" / "sock"
    control.parent.mkdir(mode=0o700)
    with serving("--control", control, env=sound(folder)) as daemon:
        env = sound(folder, **({} if enabled is None else {"AWS_CSM_ENABLED": enabled}))
        env["AWS_CSM_PORT"] = str(daemon.address[1])
        done = run("doctor", "--control", control, "--port", str(daemon.address[1]), "--json", env=env)

    document = json.loads(done.stdout)
    assert [one["code"] for check in document["checks"] for one in check["findings"]] == found
    assert "csm-otel" in next(check["state"] for check in document["checks"] if check["name"] == "socket")


# Each row is a setting that breaks, silences or misdirects an SDK.
@pytest.mark.parametrize(
    ("environ", "config", "found"),
    [
        pytest.param({"AWS_CSM_ENABLED": "1"}, "", ["csm-enabled-value", "nobody-listens"], id="enabled-by-one"),
        pytest.param({"AWS_CSM_ENABLED": "no"}, "", ["csm-enabled-value", "nobody-listens"], id="enabled-by-no"),
        pytest.param(
            {"AWS_CSM_ENABLED": "false"}, f"[default]\n{ON}", ["csm-disabled", "csm-profile-conflict"], id="off"
        ),
        pytest.param({"AWS_CSM_PORT": "1"}, "", ["csm-not-enabled"], id="port-alone"),
        pytest.param({"AWS_CSM_PORT": "abc"}, "", ["csm-not-enabled", "csm-port-invalid"], id="port-word"),
        pytest.param({"AWS_CSM_PORT": "99999"}, "", ["csm-not-enabled", "csm-port-invalid"], id="port-too-large"),
        pytest.param({"AWS_CSM_PORT": "31000"}, "", ["csm-not-enabled", "csm-port-differs"], id="port-differs"),
        pytest.param({"AWS_CSM_HOST": "::1"}, "", ["csm-not-enabled", "csm-host-ipv6"], id="host-ipv6"),
        pytest.param({"AWS_CSM_HOST": "x.test"}, "", ["csm-not-enabled", "csm-host-unresolvable"], id="host-none"),
        pytest.param({"AWS_CSM_HOST": "10.0.0.1"}, "", ["csm-not-enabled", "csm-host-remote"], id="host-remote"),
        pytest.param(
            {"AWS_CSM_CLIENT_ID": "x" * 256}, "", ["csm-not-enabled", "csm-client-id-too-long"], id="client-id"
        ),
        pytest.param({"AWS_SESSION_TOKEN": "x" * 8000}, "", ["session-token-too-long"], id="token"),
        pytest.param({}, f"[default]\n{ON}csm_port = 1\n", ["csm-profile-partial", "nobody-listens"], id="section"),
        pytest.param(
            {},
            f"[default]\n{ON}csm_port = 1\n[profile aws_csm]\n{ON}csm_port = 1\n",
            ["csm-go-load-config", "nobody-listens"],
            id="load-config",
        ),
        pytest.param(
            {"AWS_CSM_ENABLED": "true"},
            "[default]\ncsm_port = 1\n",
            ["csm-port-partial", "nobody-listens"],
            id="port-in-file",
        ),
        pytest.param({"AWS_PROFILE": "gone"}, "", ["profile-missing"], id="profile"),
        pytest.param(
            {"AWS_PROFILE": "a", "AWS_DEFAULT_PROFILE": "b"},
            "[profile a]\n[profile b]\n",
            ["profile-ambiguous"],
            id="two",
        ),
        pytest.param({}, "no section\n", ["aws-config-unreadable"], id="config"),
        pytest.param({"OTEL_TRACES_SAMPLER": "always_off"}, "", ["traces-off"], id="sampler"),
        pytest.param({"CSM_OTEL_PENDING_EVENTS": "x"}, "", ["setting-invalid"], id="setting"),
    ],
)
def test_footguns(environ: dict[str, str], config: str, found: list[str], folder: Path) -> None:
    """Each is named, and no value that may be a secret is printed."""
    (folder / "config").write_text(config, encoding="utf-8")

    assert codes(env=sound(folder, **environ)) == found


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        pytest.param(Answer(status=404), ["otlp-path"], id="404"),
        pytest.param(Answer(status=401), ["otlp-unauthorized"], id="401"),
        pytest.param(Answer(status=302, headers={"Location": "/login"}), ["otlp-path"], id="redirect"),
        pytest.param(Answer(status=503), ["otlp-refused"], id="503"),
        pytest.param(Answer(rejected_spans=1, message="too old"), ["otlp-rejected"], id="partial-success"),
    ],
)
def test_answers(answer: Answer, found: list[str], folder: Path) -> None:
    """What the back end answers to the canary is a finding, and so is a timeout that was meant as seconds."""
    with HttpBackend() as backend:
        backend.script(answer)
        env = sound(folder, OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint, OTEL_EXPORTER_OTLP_TIMEOUT="60")

        assert codes("--canary", env=env) == ["setting-misread", *found]


def test_refused(folder: Path) -> None:
    """Nothing listens at the endpoint."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    env = sound(folder, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}")

    assert codes(env=env) == ["otlp-unreachable"]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize(
    ("hours", "host", "found"),
    [
        pytest.param(1, "localhost", [], id="valid"),
        pytest.param(-1, "localhost", ["otlp-tls"], id="expired"),
        pytest.param(1, "collector.example", ["otlp-tls"], id="another-host"),
    ],
)
def test_certificates(hours: int, host: str, found: list[str], protocol: str, folder: Path) -> None:
    """A certificate that has expired, or that is for another host, is named; a valid one is no finding."""
    certificate = Certificate.make(folder, valid_hours=hours, host=host)
    kind = GrpcBackend if protocol == "grpc" else HttpBackend
    with kind(certificate=certificate) as backend:
        env = sound(
            folder,
            OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
            OTEL_EXPORTER_OTLP_CERTIFICATE=str(certificate.path),
            OTEL_EXPORTER_OTLP_CLIENT_KEY=str(certificate.key_path),
            OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=str(certificate.path),
        )

        assert codes(env=env) == found


@pytest.mark.parametrize(
    ("no_proxy", "answer", "found"),
    [
        pytest.param("", None, [], id="works"),
        pytest.param("", b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", ["otlp-proxy"], id="rejects"),
        pytest.param("collector.invalid", None, ["otlp-unreachable"], id="excepted"),
    ],
)
def test_proxies(no_proxy: str, answer: bytes | None, found: list[str], folder: Path) -> None:
    """The proxy on the way to the back end is named if it works, and blamed if it does not."""
    with HttpBackend() as backend, ForwardProxy(backend.endpoint, answer=answer) as proxy:
        env = sound(
            folder,
            OTEL_EXPORTER_OTLP_ENDPOINT="http://collector.invalid:4318",
            HTTP_PROXY=proxy.endpoint.replace("//", "//user:hunter2@"),
            NO_PROXY=no_proxy,
        )
        done = run("doctor", "--port", "1", "--json", env=env)

    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert [one["code"] for one in checks["back end"]["findings"]] == found
    assert (f"through the proxy {proxy.endpoint}" in checks["back end"]["state"]) is (not no_proxy)
    assert ("HTTP_PROXY" in str(checks["back end"]["findings"])) is (answer is not None)
    assert b"hunter2" not in done.stdout + done.stderr


class _Slow(BaseHTTPRequestHandler):
    """A back end whose clock stands still in 2001."""

    def do_HEAD(self) -> None:
        self.send_response_only(200)
        self.send_header("Date", "Sun, 09 Sep 2001 01:46:40 GMT")
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_HEAD()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def test_clock_skew(folder: Path) -> None:
    """The clock is compared with that of the back end."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Slow) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            env = sound(folder, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{server.server_port}")
            assert codes(env=env) == ["clock-skew"]
        finally:
            server.shutdown()
            thread.join(DEADLINE_SECONDS)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_ctrl_c(protocol: str, folder: Path) -> None:
    """While a back end does not answer, Ctrl-C ends it by that signal, which a shell shows as 130."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        env = sound(
            folder,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{listener.getsockname()[1]}",
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
            OTEL_EXPORTER_OTLP_TIMEOUT="3600000",
        )
        command = [*CSM_OTEL, "doctor", "--port", "1", "--timeout", "3600"]
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            listener.settimeout(DEADLINE_SECONDS)
            connection, _ = listener.accept()
            with connection:
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=DEADLINE_SECONDS)

    assert process.returncode == -signal.SIGINT
    assert (out, has_traceback(err)) == (b"", False)
