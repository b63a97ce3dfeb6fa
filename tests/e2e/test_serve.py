"""`csm-otel serve` as a whole: real scripts beside it, real signals, a real back end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from datagrams import attempt, call
from e2e.lifecycle import send_calls
from e2e.programs import (
    CSM_OTEL,
    DEADLINE_SECONDS,
    LISTENING,
    ONE_CALL,
    environment,
    has_traceback,
    lines_of,
    read_until,
    run,
    serving,
    spans_in,
)
from loopback import HOSTS, send_from_anywhere
from otlp_backend import Answer, GrpcBackend, HttpBackend, wait_until

from csm_otel.csm.events import Dialect


def _script(script: str, env: dict[str, str]) -> None:
    subprocess.run([sys.executable, "-c", script], env=env, check=True, timeout=DEADLINE_SECONDS, capture_output=True)


@pytest.mark.parametrize("backend_type", [HttpBackend, GrpcBackend], ids=["http", "grpc"])
def test_scripts_beside_it_are_traced(moto_port: int, backend_type: type[HttpBackend | GrpcBackend]) -> None:
    """Each call of a script that has CSM enabled is a trace, delivered at SIGTERM at the latest."""
    protocol = "grpc" if backend_type is GrpcBackend else "http/protobuf"
    with backend_type() as backend:
        env = environment(
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=backend.url, OTEL_EXPORTER_OTLP_PROTOCOL=protocol, AWS_CSM_ENABLED="true"
        )
        with serving(env=env) as daemon:
            assert f"exporting to {backend.url}" in daemon.line
            assert "receive buffer" in daemon.line
            _script(f"{ONE_CALL}\n{ONE_CALL}", environment(moto_port, **daemon.csm(), AWS_CSM_CLIENT_ID="nightly"))
            assert daemon.stop() == 0
    assert b"4 datagrams received" in daemon.rest
    assert b"4 spans delivered" in daemon.rest
    assert sorted(span.name for span in backend.spans) == ["S3.ListBuckets"] * 2 + ["S3.ListBuckets attempt"] * 2
    assert len({span.trace_id for span in backend.spans}) == 2
    resource = {item.key: item.value.string_value for item in backend.requests[0].resource_spans[0].resource.attributes}
    assert resource["service.name"] == "nightly"
    assert resource["host.name"] == socket.gethostname()
    assert resource["telemetry.distro.name"] == "csm-otel"


def test_a_script_enabled_by_its_profile_reaches_it(moto_port: int, tmp_path: Path) -> None:
    """`csm_enabled = true` and `csm_port` in the profile are enough; the script's environment is not changed."""
    config, file = tmp_path / "config", tmp_path / "out.jsonl"
    with serving("--file", file, env=environment(OTEL_TRACES_EXPORTER="none")) as daemon:
        config.write_text(
            "[default]\nregion = us-east-1\ncsm_enabled = true\ncsm_client_id = old-job\n"
            f"csm_port = {daemon.address[1]}\n",
            encoding="utf-8",
        )
        _script(ONE_CALL, environment(moto_port, AWS_CONFIG_FILE=str(config)))
        assert daemon.stop() == 0
    assert {(span["name"], span["resource"]["service.name"]) for span in spans_in(file)} == {
        ("S3.ListBuckets", "old-job"),
        ("S3.ListBuckets attempt", "old-job"),
    }


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT], ids=["SIGTERM", "SIGINT", "SIGQUIT"]
)
def test_a_signal_ends_it_in_order(number: signal.Signals) -> None:
    """It drains, flushes, prints the tally and exits with 0."""
    with serving(env=environment(OTEL_TRACES_EXPORTER="none")) as daemon:
        assert daemon.stop(number) == 0
    assert b"0 datagrams received" in daemon.rest


def test_a_second_signal_ends_it_at_once() -> None:
    """While it waits for a back end that hangs, another signal ends it: the rest is counted, and the tally printed."""
    with HttpBackend() as backend:
        backend.script(*[Answer(delay_seconds=30)] * 3)
        env = environment(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=backend.url)
        with serving("--drain-seconds", "60", env=env) as daemon:
            _send(daemon.address, _CALL)
            daemon.process.send_signal(signal.SIGTERM)
            backend.wait_for_requests(1)
            assert daemon.stop() == -signal.SIGTERM  # which a shell shows as 128+n
    assert b"1 datagram received in " in daemon.rest
    assert b"1 span dropped (1 not delivered in time at shutdown)\n" in daemon.rest
    assert not has_traceback(daemon.rest)


def test_a_second_signal_with_a_spool(tmp_path: Path) -> None:
    """What is on disk by then is kept for the next run."""
    with HttpBackend() as backend:
        backend.script(*[Answer(delay_seconds=30)] * 3)
        env = environment(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=backend.url)
        with serving("--drain-seconds", "60", "--spool", tmp_path / "spool", env=env) as daemon:
            _send(daemon.address, _CALL)
            daemon.process.send_signal(signal.SIGINT)
            backend.wait_for_requests(1)
            assert daemon.stop() == -signal.SIGTERM
    assert b"1 span kept in the spool for the next run\n" in daemon.rest


def test_a_step_that_cannot_be_cancelled() -> None:
    """Where the end does not come within a moment of the second signal, the tally is printed nevertheless."""
    with HttpBackend() as backend:
        backend.script_metrics(*[Answer(delay_seconds=60)] * 3)
        env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint, OTEL_METRICS_EXPORTER="otlp")
        with serving("--drain-seconds", "60", env=env) as daemon:
            _send(daemon.address, _CALL)
            daemon.process.send_signal(signal.SIGTERM)
            wait_until(lambda: backend.metric_requests)
            assert daemon.stop() in (-signal.SIGTERM, 128 + signal.SIGTERM)  # the same to a shell
    assert daemon.rest.count(b"1 datagram received in ") == 1
    assert b"1 span delivered\n" in daemon.rest
    assert not has_traceback(daemon.rest)


_CALL = (
    b'{"Version":1,"ClientId":"","Type":"ApiCall","Service":"S3","Api":"ListBuckets","Timestamp":1795458108268,'
    b'"AttemptCount":0,"Latency":2,"MaxRetriesExceeded":0}'
)


def _send(address: tuple[str, int], *payloads: bytes) -> None:
    with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for payload in payloads:
            sock.sendto(payload, address)


def test_any_datagram() -> None:
    """Garbage is counted by reason, reported once a reason, and never shown; the good event among it is exported."""
    garbage = [b"", b"\xff\xfe", b"{", b"[" * 60_000, b'"GARBAGE"', b'{"Type":"GARBAGE"}', b"{}", b'{"Type":"ApiCall"}']
    with serving(env=environment(OTEL_TRACES_EXPORTER="none")) as daemon:
        _send(daemon.address, *garbage * 3, _CALL)
        assert daemon.stop() == 0
    assert b"25 datagrams received" in daemon.rest
    assert b"24 malformed" in daemon.rest
    assert b"1 call with 0 attempts" in daemon.rest
    assert b"GARBAGE" not in daemon.rest
    warnings = [line for line in lines_of(daemon.rest) if "no CSM events" in line]
    assert len(warnings) == len(set(warnings)) == 6
    assert not has_traceback(daemon.rest)


def test_a_flood_beside_a_script(moto_port: int, tmp_path: Path) -> None:
    """Spoofed calls and attempts from ever new ports and addresses are dropped and counted; a script's are complete."""
    file = tmp_path / "out.jsonl"
    with serving("--file", file, "--pending-events", "50", env=environment(OTEL_TRACES_EXPORTER="none")) as daemon:
        for part in range(2):
            for number in range(100):
                make = (attempt, call)[number % 2]
                stranger = make(Dialect.JS, Api="ListBuckets", ClientId=f"{part}-{number}")
                send_from_anywhere(stranger, daemon.address, host=HOSTS[number % len(HOSTS)])
            _script(f"{ONE_CALL}\n{ONE_CALL}", environment(moto_port, **daemon.csm(), AWS_CSM_CLIENT_ID="nightly"))
        assert daemon.stop() == 0
    assert b"208 datagrams received" in daemon.rest
    assert b"104 calls with 4 attempts (100 attempts not seen), 100 orphan attempts" in daemon.rest
    assert b"released early, as too many were pending" in daemon.rest
    spans = [span for span in spans_in(file) if span["resource"]["service.name"] == "nightly"]
    calls = {span["spanId"] for span in spans if span["name"] == "S3.ListBuckets"}
    assert len(calls) == 4
    assert {span["parentSpanId"] for span in spans if span["name"] == "S3.ListBuckets attempt"} == calls
    assert not any("csm.attempts_missing" in span["attributes"] for span in spans)


def test_both_loopback_addresses() -> None:
    """Without --host it listens on 127.0.0.1 and, where IPv6 exists, on ::1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with serving("--port", str(port), env=environment(OTEL_TRACES_EXPORTER="none")) as daemon:
        _send(("127.0.0.1", port), _CALL)
        expected = 1
        if f"[::1]:{port}" in daemon.line:
            _send(("::1", port), _CALL)
            expected = 2
        else:
            assert not Path("/proc/net/if_inet6").exists()
        assert daemon.stop() == 0
    assert f"{expected} datagram".encode() in daemon.rest


def test_a_port_in_use_names_its_owner() -> None:
    """It exits with 1 and one line that names the process that has the port, if known."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        done = run("serve", "--port", str(port), env=environment())
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith(f"csm-otel: cannot listen on 127.0.0.1:{port}: address already in use")
    if Path("/proc/net/udp").exists():
        assert f"(pid {os.getpid()})" in line


@pytest.mark.parametrize(
    ("flags", "env", "names"),
    [
        pytest.param(
            ["--health=x", "--group", "all", "--no-such-flag"],
            {"CSM_OTEL_MESSAGES": "all", "OTEL_TRACES_EXPORTER": "zipkin", "OTEL_RESOURCE_ATTRIBUTES": "x"},
            [
                "--group",
                "--health",
                "--no-such-flag",
                "CSM_OTEL_MESSAGES",
                "OTEL_RESOURCE_ATTRIBUTES",
                "OTEL_TRACES_EXPORTER",
            ],
            id="flags and variables",
        ),
        pytest.param([], {"OTEL_TRACES_SAMPLER": "sometimes"}, ["OTEL_TRACES_SAMPLER"], id="sampler"),
        pytest.param(["--file", "/no/such/folder/f"], {}, ["--file"], id="file"),
    ],
)
def test_bad_settings(flags: list[str], env: dict[str, str], names: list[str]) -> None:
    """It exits with 2 and a line per fault that names the flag or variable, and no traceback."""
    done = run("serve", *flags, env=environment(**{"CSM_OTEL_PORT": "0", **env}))
    assert done.returncode == 2
    assert [line.split(": ")[1].split()[0] for line in lines_of(done.stderr)] == names
    assert len(done.stderr.splitlines()) == len(names)
    assert not has_traceback(done.stderr)


def test_a_remote_bind_is_warned_about() -> None:
    """With --allow-remote it listens where other hosts can reach it, and says what that means."""
    with serving("--host", "0.0.0.0", "--allow-remote", env=environment(OTEL_TRACES_EXPORTER="none")) as daemon:
        assert "warning: 0.0.0.0 accepts unauthenticated datagrams" in daemon.line
        assert daemon.stop() == 0


def test_console_writes_waterfalls_to_stdout(moto_port: int) -> None:
    """OTEL_TRACES_EXPORTER=console prints each trace to stdout."""
    with serving(env=environment(OTEL_TRACES_EXPORTER="console")) as daemon:
        _script(ONE_CALL, environment(moto_port, **daemon.csm()))
        daemon.process.send_signal(signal.SIGTERM)
        out, _ = daemon.process.communicate(timeout=DEADLINE_SECONDS)
    assert b"S3.ListBuckets" in out


def test_a_closed_stdout_ends_nothing() -> None:
    """A daemon with a closed stdout goes on; the console exporter shows nothing."""
    script = 'exec "$@" >&-'
    command = ["sh", "-c", script, "sh", *CSM_OTEL, "serve", "--port", "0"]
    env = environment(OTEL_TRACES_EXPORTER="console", OTEL_BSP_SCHEDULE_DELAY="1")
    process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE)
    try:
        line = read_until(process, LISTENING)
        port = int(re.search(r":(\d+)", line)[1])  # type: ignore[index]
        _send(("127.0.0.1", port), _CALL)
        process.terminate()
        _, err = process.communicate(timeout=DEADLINE_SECONDS)
    finally:
        process.kill()
    assert process.returncode == 0
    assert b"1 datagram received" in err
    assert not has_traceback(err)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_stdout_that_cannot_be_written_is_reported() -> None:
    """What the console exporter cannot write is reported in a line, and the daemon goes on."""
    env = environment(OTEL_TRACES_EXPORTER="console", OTEL_BSP_SCHEDULE_DELAY="1")
    with Path("/dev/full").open("wb") as full:
        process = subprocess.Popen([*CSM_OTEL, "serve", "--port", "0"], env=env, stderr=subprocess.PIPE, stdout=full)
    try:
        line = read_until(process, LISTENING)
        port = int(re.search(r":(\d+)", line)[1])  # type: ignore[index]
        _send(("127.0.0.1", port), _CALL)
        assert "cannot write to stdout: no space left on device" in read_until(process, b"cannot write")
        process.terminate()
        _, err = process.communicate(timeout=DEADLINE_SECONDS)
    finally:
        process.kill()
    assert process.returncode == 0
    assert b"1 datagram received" in err
    assert not has_traceback(err)


def test_disabled_exports_nothing() -> None:
    """With OTEL_SDK_DISABLED=true it listens, counts and sends nothing."""
    with HttpBackend() as backend:
        env = environment(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=backend.url, OTEL_SDK_DISABLED="true")
        with serving(env=env) as daemon:
            _send(daemon.address, _CALL)
            assert daemon.stop() == 0
    assert b"1 datagram received" in daemon.rest
    assert backend.requests == []


def test_files_that_are_rotated(tmp_path: Path) -> None:
    """On SIGHUP it goes on in new files: each span is in one of them, and each recording can be replayed by itself."""
    file, recording = tmp_path / "out.jsonl", tmp_path / "calls.ndjson"
    env = environment(OTEL_TRACES_EXPORTER="none", OTEL_BSP_SCHEDULE_DELAY="0")
    with serving("--file", file, "--record", recording, env=env, under=["nohup"]) as daemon:
        for number in range(3):
            send_calls(daemon, 20)
            wait_until(lambda: file.exists() and len(spans_in(file)) == 20)
            for path in (file, recording):
                path.rename(f"{path}.{number}")
            daemon.process.send_signal(signal.SIGHUP)
            wait_until(lambda: file.exists() and recording.exists())
        assert daemon.stop() == 0
    assert [line for line in lines_of(daemon.rest) if "60 datagrams received" not in line] == []
    for number in range(3):
        assert sorted(span["name"] for span in spans_in(Path(f"{file}.{number}"))) == sorted(
            f"S3.Call{one}" for one in range(20)
        )
        replayed = run("replay", f"{recording}.{number}", env=env)
        assert b"20 datagrams received" in replayed.stderr
        assert b"skipped" not in replayed.stderr


def test_a_flush_by_signal() -> None:
    """SIGUSR1 delivers what has arrived, as `csm-otel flush` does, and the daemon goes on."""
    with HttpBackend() as backend:
        env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint, OTEL_BSP_SCHEDULE_DELAY="60000")
        with serving(env=env) as daemon:
            for number in (1, 2):
                send_calls(daemon, 10)
                daemon.process.send_signal(signal.SIGUSR1)
                line = read_until(daemon.process, rb"^csm-otel: flushed ")
                assert f"flushed on SIGUSR1, all was delivered: {10 * number} datagrams received, " in line
                assert len(backend.spans) == 10 * number
            assert daemon.stop() == 0


def test_a_stop_during_a_flush_by_signal() -> None:
    """The flush has its line also if the daemon ends before the back end is there."""
    env = environment(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    with serving("--drain-seconds=0.2", env=env) as daemon:
        send_calls(daemon, 10)
        daemon.process.send_signal(signal.SIGUSR1)
        read_until(daemon.process, rb"^csm-otel: back end unavailable, ")
        assert daemon.stop() == 0
    (line,) = [line for line in lines_of(daemon.rest) if "flushed" in line]
    assert "flushed on SIGUSR1, not all was delivered: the daemon is being stopped: 10 datagrams received, " in line


def test_signals_without_a_meaning() -> None:
    """They do not end a daemon by accident."""
    with serving(env=environment(OTEL_TRACES_EXPORTER="none")) as daemon:
        for number in (signal.SIGUSR2, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO, signal.SIGPIPE, signal.SIGWINCH):
            daemon.process.send_signal(number)
        if hasattr(signal, "SIGRTMIN"):
            daemon.process.send_signal(signal.SIGRTMIN + 1)
        assert daemon.stop() == 0
    assert b"0 datagrams received" in daemon.rest
