"""`csm-otel report` on the files of real runs, and on files that are none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from commands.input_files import lines_of, recording_of
from e2e.lifecycle import send_calls
from e2e.programs import CSM_OTEL, DEADLINE_SECONDS, SEVERAL_CALLS, environment, has_traceback, run, run_exec, serving
from e2e.test_spool import outage, spans_on_disk
from otlp_backend import HttpBackend, wait_until
from platforms import on_linux

if TYPE_CHECKING:
    from pathlib import Path

NOWHERE = "http://127.0.0.1:9"


def summary_of(*inputs: Path, into: Path, env: dict[str, str]) -> dict[str, Any]:
    """Report on files, and return the summary."""
    done = run("report", "--summary-json", into, *inputs, env=env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"S3.ListBuckets" in done.stdout
    summary: dict[str, Any] = json.loads(into.read_text("utf-8"))
    return summary


def test_a_run_from_each_kind_of_file(moto_port: int, tmp_path: Path) -> None:
    """Recording, spans in OTLP/JSON and spool of a run have the summary of `exec`; nothing is sent by a report."""
    flags = ("--record", tmp_path / "rec", "--file", tmp_path / "spans", "--spool", tmp_path / "spool")
    env = environment(moto_port, OTEL_EXPORTER_OTLP_ENDPOINT=NOWHERE, CSM_OTEL_DRAIN_SECONDS="0.2")
    done = run_exec(SEVERAL_CALLS, *flags, "--summary-json", tmp_path / "summary.json", env=env)
    assert done.returncode == 3, done.stderr
    expected = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert (expected["totals"]["calls"], expected["run"]["exit_code"]) == (4, 3)
    assert expected["totals"]["attempts"] >= 3

    with HttpBackend() as backend:
        env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=backend.endpoint, OTEL_TRACES_EXPORTER="otlp,console")
        for name in ("rec", "spans", "spool"):
            assert summary_of(tmp_path / name, into=tmp_path / "again.json", env=env) == expected
        assert backend.spans == []


def test_a_spool_in_use(tmp_path: Path) -> None:
    """What waits in the spool of a running daemon is reported, and still waits."""
    folder = tmp_path / "spool"
    with serving("--spool", folder, "--drain-seconds", "0.2", env=outage(9)) as daemon:
        send_calls(daemon, 50)
        wait_until(lambda: spans_on_disk(folder) == 50)
        done = run("report", "--summary-json", tmp_path / "summary.json", folder, env=environment())
        assert daemon.stop() == 0
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads((tmp_path / "summary.json").read_text("utf-8"))["totals"]["calls"] == 50
    assert b"50 spans kept in the spool for the next run" in daemon.rest


def test_stdin() -> None:
    """A dash is stdin, whatever kind of file that is."""
    for content in (recording_of(3), lines_of(3)):
        done = run("report", "-", env=environment(), stdin=content)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.count(b"S3.GetObject") >= 3


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        pytest.param(None, ": no such file or directory", id="missing"),
        pytest.param(b"", " is empty", id="empty"),
        pytest.param(b'{"Version": 1}', " is no recording and no spool: no traces in OTLP/JSON", id="foreign"),
        pytest.param(os.urandom(100_000), " is no recording and no spool: no traces in OTLP/JSON", id="garbage"),
        pytest.param(lines_of(2, scope="otherlib"), ": 4 spans, none of csm-otel's", id="others"),
    ],
)
def test_bad_inputs(content: bytes | None, fault: str, tmp_path: Path) -> None:
    """It is one line with the file's name, and the exit code 1; the others are reported."""
    bad, good = tmp_path / "bad", tmp_path / "good"
    if content is not None:
        bad.write_bytes(content)
    good.write_bytes(recording_of(2))
    for inputs in ((bad,), (bad, good)):
        done = run("report", *inputs, env=environment())
        assert (done.returncode, done.stderr.decode()) == (1, f"csm-otel: {bad}{fault}\n")
        assert (b"S3.GetObject" in done.stdout) is (good in inputs)


def test_bad_settings(tmp_path: Path) -> None:
    """A flag or variable that cannot be used is named, and the exit code is 2."""
    done = run("report", "--sort", "size", tmp_path, env=environment(CSM_OTEL_GRACE_SECONDS="soon"))
    assert (done.returncode, done.stdout) == (2, b"")
    assert [line.split(": ")[1] for line in done.stderr.decode().splitlines()] == ["--sort", "CSM_OTEL_GRACE_SECONDS"]


def report_in_shell(command: str, file: Path) -> subprocess.CompletedProcess[bytes]:
    """Run a line of shell with ``report`` as its function, on a file."""
    script = f'report() {{ "$@" {file}; }}; {command}'
    return subprocess.run(
        ["sh", "-c", script, "sh", *CSM_OTEL, "report"],
        env=environment(), capture_output=True, timeout=DEADLINE_SECONDS, check=False,
    )  # fmt: skip


def test_a_reader_that_has_gone(tmp_path: Path) -> None:
    """With `head` behind it, it ends quietly."""
    file = tmp_path / "rec"
    file.write_bytes(recording_of(3000))
    done = report_in_shell('report "$@" --all | head -1', file)
    assert (done.returncode, done.stderr, done.stdout.count(b"\n")) == (0, b"", 1)


@on_linux
def test_a_full_disk(tmp_path: Path) -> None:
    """If the report cannot be printed, a line says why, and the exit code is 1."""
    file = tmp_path / "rec"
    file.write_bytes(recording_of(1))
    done = report_in_shell('report "$@" >/dev/full', file)
    assert (done.returncode, done.stderr) == (1, b"csm-otel: --output: stdout: no space left on device\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal(number: signal.Signals) -> None:
    """While it waits for more of a pipe, a signal ends it at once, without a report."""
    command = [*CSM_OTEL, "report", "-"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment(), stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        process.stdin.write(recording_of(2000))  # more than a pipe holds: it reads, so it handles signals
        process.stdin.flush()
        process.send_signal(number)
        stdin, process.stdin = process.stdin, None  # stays open
        stdout, stderr = process.communicate(timeout=DEADLINE_SECONDS)
        stdin.close()
    assert (process.returncode, stdout) == (128 + number, b"")
    assert not has_traceback(stderr)
    assert stderr == b""
