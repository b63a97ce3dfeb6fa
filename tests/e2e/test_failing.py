"""`csm-otel exec` when it fails itself: the command has its signals, and its exit code is returned, with one line."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from children.processes import CHILDREN, as_from_a_terminal, next_line
from e2e.programs import CSM_OTEL, DEADLINE_SECONDS, environment
from platforms import on_linux

from csm_otel.files.recording import FORMAT, Heading, encode_line

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

COMMAND = ("sh", "-c", "trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done")
"""Exits with 9 on SIGUSR1."""
LIMITED = (sys.executable, str(CHILDREN / "limited.py"))
MEGABYTE = 2**20


@contextlib.contextmanager
def running(command: Sequence[str]) -> Generator[subprocess.Popen[bytes]]:
    """Run a command that prints "ready", from then until the block ends."""
    with as_from_a_terminal():
        process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert next_line(process.stdout) == "ready"
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def stderr_of(command: Sequence[str], code: int = 9) -> str:
    """Run `COMMAND` under csm-otel as given, signal it there, check its exit code and return stderr."""
    with running(command) as process:
        process.send_signal(signal.SIGUSR1)
        _, stderr = process.communicate(timeout=DEADLINE_SECONDS)
        assert process.returncode == code
        return stderr.decode()


@on_linux
def test_no_thread_for_want_of_memory() -> None:
    """Where no thread has room for its stack, the command runs untraced."""
    limits = 'ulimit -s 4000000 && ulimit -v 2000000 && exec "$@"'
    stderr = stderr_of(["sh", "-c", limits, "sh", *CSM_OTEL, "exec", "--", *COMMAND])
    assert stderr == "csm-otel: the command ran untraced: can't start new thread\n"


@on_linux
@pytest.mark.may_skip("only root can become a user of whom there is no other process")
def test_no_thread_for_want_of_processes() -> None:
    """The same with a limit on processes, which counts threads: one for csm-otel, one for the command."""
    if os.geteuid() or not shutil.which("setpriv") or not shutil.which("prlimit"):
        pytest.skip("needs root, setpriv and prlimit")
    # the capability, as Python may be installed where others may not read
    user = [
        "setpriv",
        f"--reuid={200_000 + os.getpid()}",
        "--inh-caps=+dac_read_search",
        "--ambient-caps=+dac_read_search",
    ]
    if subprocess.run([*user, *CSM_OTEL, "exec", "--help"], check=False, capture_output=True).returncode:
        pytest.skip("another user cannot run csm-otel here")
    command = ["sh", "-c", "trap 'exit 9' USR1; echo ready; while :; do :; done"]
    stderr = stderr_of([*user, "prlimit", "--nproc=2", *CSM_OTEL, "exec", "--", *command])
    assert stderr == "csm-otel: the command ran untraced: can't start new thread\n"


@on_linux
@pytest.mark.parametrize("more", [-64 * MEGABYTE, 0, 8 * MEGABYTE, 24 * MEGABYTE])
def test_no_more_memory(more: int) -> None:
    """Whatever cannot be allocated once the command runs, and of whichever library, costs no more than the trace."""
    stderr = stderr_of([*LIMITED, "as", str(more), *COMMAND])
    assert stderr.splitlines()[-1].startswith(("csm-otel: tracing failed: ", "csm-otel: no AWS calls seen in "))


def _in_400_mb(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run csm-otel with gRPC in 400 MB of address space."""
    command = ["sh", "-c", 'ulimit -v 400000 && exec "$@"', "sh", *CSM_OTEL, *arguments]
    env = environment(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4317", OTEL_METRICS_EXPORTER="otlp")
    return subprocess.run(command, env=env, capture_output=True, check=False, timeout=DEADLINE_SECONDS)


_TOO_LITTLE_FOR_GRPC = (
    "csm-otel: OTEL_EXPORTER_OTLP_PROTOCOL: gRPC needs 1 GiB of address space, this process may have 390 MiB "
    "(ulimit -v); http/protobuf needs less"
)


@on_linux
def test_too_little_memory_for_grpc() -> None:
    """The library would abort this process: it is not loaded, and the trace is printed instead."""
    done = _in_400_mb("exec", "--", "sh", "-c", "exit 7")
    line, command, *_ = done.stderr.decode().splitlines()
    assert (done.returncode, line) == (7, _TOO_LITTLE_FOR_GRPC)
    assert ", exit 7; " in command


@on_linux
def test_too_little_memory_for_grpc_at_the_start(tmp_path: Path) -> None:
    """The other commands reject it like any setting that cannot be used."""
    recording = tmp_path / "recording"
    recording.write_bytes(encode_line(Heading(format=FORMAT, seed=1, host_name="h")))
    for done in (_in_400_mb("serve", "--port=0"), _in_400_mb("replay", str(recording))):
        assert (done.returncode, done.stdout, done.stderr.decode()) == (2, b"", f"{_TOO_LITTLE_FOR_GRPC}\n")


@on_linux
@pytest.mark.parametrize("more", [0, 1, 2, 4])
def test_no_more_descriptors(more: int) -> None:
    """Neither do modules that cannot be opened, or a selector that cannot be had."""
    stderr = stderr_of([*LIMITED, "nofile", str(more), *COMMAND])
    assert stderr.splitlines()[-1].startswith(("csm-otel: tracing failed: ", "csm-otel: no AWS calls seen in "))
    assert more or stderr == "csm-otel: tracing failed: OSError: too many open files\n"


def test_no_descriptor_for_the_end() -> None:
    """If the descriptor that reports the end cannot be had, the command runs untraced."""
    for count in range(4, 12):  # as many as Python itself needs are different elsewhere
        limits = f'ulimit -n {count} && exec "$@"'
        command = ["sh", "-c", limits, "sh", *CSM_OTEL, "exec", "--", "sh", "-c", "exit 7"]
        done = subprocess.run(command, env=environment(), capture_output=True, check=False, timeout=DEADLINE_SECONDS)
        if done.returncode == 7:
            assert done.stderr == b"csm-otel: the command ran untraced: too many open files\n"
            return
    pytest.fail("the command was never started")


def test_no_room_in_files(tmp_path: Path) -> None:
    """Files that may not grow are each reported, with what is lost."""
    files = [f"--{name}={tmp_path / name}" for name in ("file", "record")]
    stderr = stderr_of(["sh", "-c", 'ulimit -f 0 && exec "$@"', "sh", *CSM_OTEL, "exec", *files, "--", *COMMAND])
    for name in ("file", "record"):
        assert f"csm-otel: cannot write to {tmp_path}/{name}: file too large\n" in stderr
    assert "1 span dropped (1 not written to the file)" in stderr


def test_a_library_that_warns(tmp_path: Path) -> None:
    """What a library has to say of another one is not for the terminal: requests of the version of chardet."""
    (tmp_path / "chardet.py").write_text("__version__ = '1.0'\n", encoding="ascii")
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    env = environment(PYTHONPATH=path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", CSM_OTEL_DRAIN_SECONDS="0")
    command = [*CSM_OTEL, "exec", "--", "sh", "-c", "exit 7"]
    done = subprocess.run(command, env=env, capture_output=True, check=False, timeout=DEADLINE_SECONDS)
    assert done.returncode == 7
    assert done.stderr.startswith(b"csm-otel: ")


def test_each_module_that_cannot_be_loaded() -> None:
    """Whichever module fails to load, and however it does, there is one line with the kind of its error."""
    command = [sys.executable, str(CHILDREN / "failing_imports.py"), "exec", "--", "sh", "-c", "exit 7"]
    done = subprocess.run(command, env=environment(), capture_output=True, check=True, timeout=10 * DEADLINE_SECONDS)
    results = json.loads(done.stdout)
    assert len(results) > 50
    assert [
        (module, kind, code, stderr)
        for module, kind, code, stderr in results
        if (code, stderr) != (7, f"csm-otel: tracing failed: {kind}\n")
    ] == []
