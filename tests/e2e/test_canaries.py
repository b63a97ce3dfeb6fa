"""Planted secrets occur in no output: stdout, stderr, files, spool, requests, nor in a crash."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import lossless
import pytest
from e2e.canaries import Canaries, found, plant
from e2e.programs import DEADLINE_SECONDS, LISTENING, environment, read_until, run, serving
from e2e.test_spool import spans_on_disk
from lossless import send
from otlp_backend import HttpBackend, wait_until

from csm_otel.csm.redaction import REDACTED

if TYPE_CHECKING:
    from pathlib import Path

# Does not wait for the reader, which may have crashed.
_SEND_ALL = """
import os, socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for line in open(sys.argv[1]):
    sock.sendto(bytes.fromhex(line), ("127.0.0.1", int(os.environ["AWS_CSM_PORT"])))
"""
# The error quotes all arguments, wherever it is raised.
_CRASH = """
import sys
import csm_otel.{module}
def crash(*args, **kwargs):
    raise ValueError(repr((args, kwargs)))
csm_otel.{module}.{name} = crash
from csm_otel.__main__ import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def canaries() -> Canaries:
    """Generate them."""
    return plant(4711)


def everything(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file in a folder, by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def requests_of(backend: HttpBackend) -> dict[str, bytes]:
    """Return the bodies of all requests to a back end."""
    return {
        "spans": b"".join(request.SerializeToString() for request in backend.requests),
        "metrics": b"".join(request.SerializeToString() for request in backend.metric_requests),
    }


def assert_clean(outputs: dict[str, bytes], canaries: Canaries, *, redacted: set[str]) -> None:
    """Assert that no output has a piece of a secret, and that those named have its replacement."""
    assert {name: hits for name, data in outputs.items() if (hits := found(canaries.secrets, data))} == {}
    assert {name for name, data in outputs.items() if REDACTED.encode() in data} >= redacted


def test_the_search_finds_pieces(canaries: Canaries) -> None:
    """A piece of 16 characters is found anywhere, one of 15 is not."""
    for number, secret in enumerate(canaries.secrets):
        for at in {0, len(secret) - 16, (len(secret) - 16) // 2}:
            assert found(canaries.secrets, b"." * number + secret[at : at + 16].encode() + b".")
        assert not found(canaries.secrets, f"{secret[:15]}.{secret[-15:]}".encode())


def test_serve(canaries: Canaries, tmp_path: Path) -> None:
    """Nothing that the daemon writes, spools, sends or prints contains a piece of a secret."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags: list[str | Path] = [
        "--record",
        tmp_path / "record",
        "--file",
        tmp_path / "file",
        "--spool",
        tmp_path / "spool",
        "--user-agent",
    ]
    env = environment(
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
        OTEL_TRACES_EXPORTER="otlp,console",
        OTEL_METRICS_EXPORTER="otlp",
        OTEL_METRIC_EXPORT_INTERVAL="100",
        OTEL_BSP_SCHEDULE_DELAY="20",
    )
    stdout = tmp_path / "stdout"
    outputs: dict[str, bytes] = {}
    with serving(*flags, "--attempt-wait-seconds", "1", "--drain-seconds", "40", env=env, stdout=stdout) as daemon:
        send(daemon.address, canaries.payloads)
        wait_until(lambda: spans_on_disk(tmp_path / "spool") == canaries.events)
        outputs |= {f"away: {name}": data for name, data in everything(tmp_path).items()}
        with HttpBackend(port=port) as backend:
            backend.wait_for_accepted(1)
            assert daemon.stop() == 0
        assert len(backend.spans) == canaries.events
        assert backend.metric_requests
        outputs |= {**requests_of(backend), **everything(tmp_path), "stderr": daemon.line.encode() + daemon.rest}
    assert f"{len(canaries.payloads):,} datagrams received".encode() in daemon.rest
    spooled = {name for name in outputs if name.startswith("away: spool/requests.sqlite")}
    assert len(spooled) >= 2
    assert_clean(outputs, canaries, redacted={"record", "file", "stdout", "spans", "metrics"})
    assert any(REDACTED.encode() in outputs[name] for name in spooled)


@pytest.mark.parametrize("exporters", ["console", "otlp"])
def test_exec(canaries: Canaries, tmp_path: Path, exporters: str) -> None:
    """The same holds for a command that sends them."""
    hexes = tmp_path / "canaries"
    hexes.write_text("".join(f"{payload.hex()}\n" for payload in canaries.payloads), encoding="ascii")
    out = tmp_path / "out"
    out.mkdir()
    with HttpBackend() as backend:
        env = environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint, OTEL_TRACES_EXPORTER=exporters, OTEL_METRICS_EXPORTER="otlp"
        )
        flags: list[str | Path] = [
            "--record",
            out / "record",
            "--file",
            out / "file",
            "--spool",
            out / "spool",
            "--user-agent",
        ]
        done = run("exec", *flags, "--", sys.executable, lossless.__file__, hexes, env=env)
        outputs = requests_of(backend) | everything(out) | {"stdout": done.stdout, "stderr": done.stderr}
    assert done.returncode == 0
    assert f"{len(canaries.payloads):,} datagrams received".encode() in done.stderr
    shown = {"stderr"} if exporters == "console" else {"spans"}
    assert_clean(outputs, canaries, redacted={"record", "file", "metrics"} | shown)


_CRASHES = [
    pytest.param("engine.agent", "decode", id="decoding"),
    pytest.param("engine.pipeline", "measure", id="measuring"),
    pytest.param("correlation.correlator", "Correlator.receive", id="correlating"),
    pytest.param("engine.batches", "Batcher.add", id="exporting"),
]


@pytest.mark.parametrize(("module", "name"), _CRASHES)
def test_a_crash_of_serve(canaries: Canaries, module: str, name: str) -> None:
    """An exception in the loop is reported with its type and place, without any values."""
    script = _CRASH.format(module=module, name=name)
    env = environment(
        OTEL_TRACES_EXPORTER="console",
        OTEL_METRICS_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        OTEL_BSP_SCHEDULE_DELAY="1",
    )
    words = [sys.executable, "-X", "faulthandler", "-c", script, "serve", "--port", "0", "--attempt-wait-seconds", "1"]
    process = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        line = read_until(process, LISTENING)
        port = re.search(r":(\d+) ", line)
        assert port
        send(("127.0.0.1", int(port[1])), canaries.payloads)
        out, err = process.communicate(timeout=DEADLINE_SECONDS)
    finally:
        process.kill()
    assert process.returncode == 1
    assert re.search(rb"csm-otel: internal error: ValueError at <string>:5 < \w+\.py:\d+", err)
    assert_clean({"stdout": out, "stderr": line.encode() + err}, canaries, redacted=set())


@pytest.mark.parametrize(("module", "name"), _CRASHES)
def test_a_crash_of_exec(canaries: Canaries, tmp_path: Path, module: str, name: str) -> None:
    """`exec` prints no values either, and its command's result stands."""
    hexes = tmp_path / "canaries"
    hexes.write_text("".join(f"{payload.hex()}\n" for payload in canaries.payloads), encoding="ascii")
    done = subprocess.run(
        [
            sys.executable, "-X", "faulthandler", "-c", _CRASH.format(module=module, name=name),
            "exec", "--file", tmp_path / "file", "--", sys.executable, "-c", _SEND_ALL, hexes,
        ],
        env=environment(OTEL_METRICS_EXPORTER="otlp", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9"),
        capture_output=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert b"csm-otel: tracing failed: ValueError" in done.stderr
    assert_clean({"stdout": done.stdout, "stderr": done.stderr}, canaries, redacted=set())


def test_an_abort(canaries: Canaries) -> None:
    """What faulthandler prints when the process crashes names code only."""
    env = environment(OTEL_TRACES_EXPORTER="none", PYTHONFAULTHANDLER="1")
    with serving(env=env) as daemon:
        send(daemon.address, canaries.payloads)
        assert daemon.stop(signal.SIGABRT) == -signal.SIGABRT
    assert b"Fatal Python error: Aborted" in daemon.rest
    assert_clean({"stderr": daemon.rest}, canaries, redacted=set())
