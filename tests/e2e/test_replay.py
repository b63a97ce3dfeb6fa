"""`--record` and `csm-otel replay`: what was exported live is exported again, byte for byte the same each time."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import IO

import pytest
from conformance.recordings import recording
from e2e.lifecycle import send_attempts, send_calls
from e2e.programs import (
    CSM_OTEL,
    DEADLINE_SECONDS,
    SEVERAL_CALLS,
    environment,
    has_traceback,
    lines_of,
    read_until,
    run,
    run_exec,
    serving,
    spans_in,
)
from lossless import send
from otlp_backend import Answer, HttpBackend, wait_until
from platforms import ON_LINUX, on_linux

from csm_otel.files.backlog import STALL_SECONDS
from csm_otel.files.line_file import PATIENCE_SECONDS
from csm_otel.files.recording import FORMAT, Heading, decode_line, encode_line

QUIETLY = {"OTEL_TRACES_EXPORTER": "none"}
_IDS = re.compile(r'"(traceId|spanId|parentSpanId)":"[0-9a-f]+"')


def _sequence(name: str, file: Path, *flags: str) -> list[bytes]:
    """Send a capture to a `serve` that records, and return the lines of its shutdown."""
    payloads = [datagram.payload for datagram in recording(name)]
    before = _datagrams_in(file) if file.exists() else 0
    with serving("--record", file, *flags, env=environment(**QUIETLY)) as daemon:
        send(daemon.address, payloads)
        # Without kernel receive times, those of datagrams that are read after the stop signal would be late.
        wait_until(lambda: file.exists() and _datagrams_in(file) == before + len(payloads))
        assert daemon.stop() == 0
    assert b"%d datagrams received" % len(payloads) in daemon.rest
    return daemon.rest.splitlines()


def _datagrams_in(recording: Path) -> int:
    return recording.read_bytes().count(b'"line":"datagram"')


@cache
def _recording_of(name: str) -> bytes:
    """Record a capture with `serve`, once, and return the recording."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder, "rec")
        _sequence(name, kept)
        return kept.read_bytes()


def _replayed(recording: Path, to: Path, *flags: str) -> tuple[bytes, bytes]:
    """Replay into a file, and return its content and stderr."""
    done = run("replay", "--file", to, *flags, recording, env=environment(**QUIETLY))
    assert done.returncode == 0
    assert done.stdout == b""
    return to.read_bytes(), done.stderr


def _without_ids(text: bytes) -> str:
    return _IDS.sub(r'"\1":""', text.decode())


def _in_order(text: bytes) -> str:
    """Return the lines without ids, and with spans in the order of their times.

    They are exported as they are released, and a turn of the loop that comes late, on a busy machine, releases what
    became due before it after what it has just received.
    """
    lines = [json.loads(line) for line in _without_ids(text).splitlines()]
    for line in lines:
        for resource_spans in line["resourceSpans"]:
            for scope_spans in resource_spans["scopeSpans"]:
                scope_spans["spans"].sort(key=itemgetter("startTimeUnixNano", "name"))
    return "\n".join(map(json.dumps, lines))


def _late_line(recording: Path) -> str:
    """Return the line of the first datagram, with a receipt an hour after the start."""
    lines = recording.read_text(encoding="utf-8").splitlines()
    datagram = next(line for line in lines if '"line":"datagram"' in line)
    return re.sub(r'"at_ns":\d+', '"at_ns":3600000000000', datagram)


def test_a_recording_of_serve_gives_the_same_bytes(moto_port: int, tmp_path: Path) -> None:
    """Two replays are equal byte for byte, and equal the live export but for ids and the order of release."""
    assert len(_traces_of_two_scripts(moto_port, tmp_path, "call")) == 8


@on_linux
def test_a_recording_has_the_processes(moto_port: int, tmp_path: Path) -> None:
    """Each process is a trace again, with its start and end."""
    assert len(_traces_of_two_scripts(moto_port, tmp_path, "process")) == 2


def _traces_of_two_scripts(moto_port: int, tmp_path: Path, group: str) -> set[str]:
    """Record two scripts, compare two replays with each other and with the live export, return the trace ids."""
    live, kept = tmp_path / "live", tmp_path / "rec"
    with serving("--record", kept, "--file", live, "--group", group, env=environment(**QUIETLY)) as daemon:
        for _ in range(2):
            script = [sys.executable, "-c", SEVERAL_CALLS]
            subprocess.run(script, env=environment(moto_port, **daemon.csm()), check=False, capture_output=True)
        assert daemon.stop() == 0
    first, stderr = _replayed(kept, tmp_path / "first", "--group", group)
    second, _ = _replayed(kept, tmp_path / "second", "--group", group)

    assert first == second
    assert _in_order(first) == _in_order(live.read_bytes())
    replayed = stderr.splitlines()[1:]
    assert replayed == daemon.rest.splitlines()[-len(replayed) :]
    return {span["traceId"] for span in spans_in(tmp_path / "first")}


def test_a_recording_of_exec_has_the_command(moto_port: int, tmp_path: Path) -> None:
    """The command's span is in the replay, in its trace and with its id; those of the calls have others."""
    live, kept = tmp_path / "live", tmp_path / "rec"
    env = environment(moto_port, AWS_SESSION_TOKEN="FQoGCANARY" + "canary" * 40, **QUIETLY)
    assert run_exec(SEVERAL_CALLS, "--record", kept, "--file", live, env=env).returncode == 3
    first, _ = _replayed(kept, tmp_path / "first")
    second, _ = _replayed(kept, tmp_path / "second")

    assert first == second
    assert _without_ids(first) == _without_ids(live.read_bytes())
    spans = spans_in(tmp_path / "first")
    assert {span["traceId"] for span in spans} == {span["traceId"] for span in spans_in(live)}
    (command,) = [span for span in spans if span["name"].startswith("python")]
    assert command["spanId"] in {span["parentSpanId"] for span in spans if span is not command}
    in_both = {span["spanId"] for span in spans} & {span["spanId"] for span in spans_in(live)}
    assert in_both == {command["spanId"]}
    assert b"anary" not in kept.read_bytes()


@pytest.mark.parametrize("name", ["aws-sdk-ruby-core-3.211.0", "aws-sdk-php-3.376.2", "aws-sdk-go-1.55.6"])
def test_sdk_datagrams_are_replayed(tmp_path: Path, name: str) -> None:
    """Simultaneous, malformed and pending datagrams are replayed as they were, counts included."""
    kept, live = tmp_path / "rec", tmp_path / "live"
    lines = _sequence(name, kept, "--file", str(live))
    first, again = _replayed(kept, tmp_path / "first")

    assert _replayed(kept, tmp_path / "second")[0] == first
    assert [line for line in lines if b"datagrams" not in line] == [
        line for line in again.splitlines() if b"datagrams" not in line
    ]
    assert sorted(_shapes(tmp_path / "first")) == sorted(_shapes(live))


def _shapes(file: Path) -> list[str]:
    return [
        json.dumps([span["name"], span["startTimeUnixNano"], span["endTimeUnixNano"], span["attributes"]])
        for span in spans_in(file)
    ]


def test_a_back_end_gets_the_same_requests(tmp_path: Path) -> None:
    """The requests of two replays are the same at any speed, though the first try is refused."""
    kept = tmp_path / "rec"
    kept.write_bytes(_recording_of("botocore-1.44.5"))
    bodies = []
    for flags in ((), ("--speed", "1000")):
        with HttpBackend() as backend:
            backend.script(Answer(status=503))
            env = environment(OTEL_EXPORTER_OTLP_ENDPOINT=backend.url.removesuffix("/v1/traces"))
            done = run("replay", *flags, kept, env=env)
            assert done.returncode == 0
            bodies.append([request.SerializeToString(deterministic=True) for request in backend.requests])
        assert b"spans delivered" in done.stderr
    assert bodies[0] == bodies[1]
    assert bodies[0]


def test_without_a_back_end_it_is_shown(tmp_path: Path) -> None:
    """Without an endpoint the calls go to stdout as waterfalls."""
    (tmp_path / "rec").write_bytes(_recording_of("botocore-1.44.5"))
    done = run("replay", tmp_path / "rec", env=environment())
    assert b"ListTables" in done.stdout
    assert b"sent nowhere" in done.stderr


def test_damage_is_left_out_and_counted(tmp_path: Path) -> None:
    """Damaged or foreign lines of a file are skipped, counted and reported in one line."""
    kept = tmp_path / "rec"
    kept.write_bytes(_recording_of("botocore-1.44.5"))
    lines = kept.read_bytes().splitlines(keepends=True)
    damaged = tmp_path / "damaged"
    damaged.write_bytes(
        b"".join([lines[0], lines[1], b"\xff\x00garbage\n", b"[" * 200_000 + b"\n", b"x" * 3_000_000 + b"\n"])
        + b"".join([b"\n", *lines[2:-1], lines[-1][: len(lines[-1]) // 2]])
    )
    done = run("replay", damaged, env=environment(**QUIETLY))
    assert done.returncode == 0
    assert not has_traceback(done.stderr)
    assert lines_of(done.stderr)[-1] == (f"csm-otel: 4 lines of {damaged} skipped: not a line of a csm-otel recording")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        pytest.param(b"", "it is empty", id="empty"),
        pytest.param(b'{"Type":"ApiCall"}\n' * 3, "not a line of a csm-otel recording", id="datagrams"),
        pytest.param(bytes(range(256)) * 20_000, "not a line of a csm-otel recording", id="binary"),
        pytest.param(b"\0" * 3_000_000, "longer than 1 MiB", id="one-long-line"),
        pytest.param(
            b'{"line":"recording","format":9,"seed":1,"host_name":""}\n',
            "recorded in format 9; this csm-otel reads format 1",
            id="later-format",
        ),
        pytest.param(
            b'{"line":"drops","at_ns":1,"dropped":1}\n', "it does not begin with a recording's first line", id="no-head"
        ),
        pytest.param(None, "no such file or directory", id="missing"),
    ],
)
def test_a_file_that_is_no_recording(tmp_path: Path, content: bytes | None, error: str) -> None:
    """One line says what is wrong, and the exit code is 1."""
    path = tmp_path / "rec"
    if content is not None:
        path.write_bytes(content)
    done = run("replay", path, env=environment())
    assert (done.returncode, done.stdout) == (1, b"")
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith(f"csm-otel: {path}")
    assert line.endswith(error)


def test_a_library_is_not_configured_for_another_program(tmp_path: Path) -> None:
    """A variable for a protobuf of another version, which would keep ours from loading, is not heeded."""
    done = run("replay", tmp_path / "missing", env=environment(PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="cpp"))
    assert lines_of(done.stderr) == [f"csm-otel: {tmp_path}/missing: no such file or directory"]


@pytest.mark.parametrize(
    ("flags", "env", "error"),
    [
        pytest.param(["--speed", "0"], {}, "--speed: '0' is not a number from 0.001 to 1000000", id="flag"),
        pytest.param([], {"CSM_OTEL_SPEED": "fast"}, "CSM_OTEL_SPEED: ", id="variable"),
        pytest.param([], {"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER: ", id="standard-variable"),
    ],
)
def test_bad_settings(tmp_path: Path, flags: list[str], env: dict[str, str], error: str) -> None:
    """A flag or variable that cannot be used is named, and the exit code is 2."""
    path = tmp_path / "rec"
    path.write_bytes(encode_line(Heading(format=FORMAT, seed=1, host_name="h")))
    done = run("replay", *flags, path, env=environment(**env))
    assert (done.returncode, done.stdout) == (2, b"")
    assert error in done.stderr.decode().splitlines()[-1]


def test_a_closed_stdin() -> None:
    """A closed stdin is reported as such."""
    command = ["sh", "-c", 'exec "$@" <&-', "sh", *CSM_OTEL, "replay", "-"]
    done = subprocess.run(command, env=environment(), capture_output=True, timeout=DEADLINE_SECONDS, check=False)
    assert (done.returncode, done.stderr) == (1, b"csm-otel: -: stdin is closed\n")


def test_several_recordings_in_a_file(tmp_path: Path) -> None:
    """A restarted daemon appends to the file: each run is replayed, reported and delivered."""
    kept = tmp_path / "rec"
    for _ in range(2):
        _sequence("aiobotocore-3.10.0", kept)
    done = run("replay", "--file", tmp_path / "out", kept, env=environment(**QUIETLY))
    assert len([line for line in lines_of(done.stderr) if "datagrams received" in line]) == 2
    assert len({span["spanId"] for span in spans_in(tmp_path / "out")}) == len(spans_in(tmp_path / "out")) > 0


def test_from_stdout_to_stdin(tmp_path: Path) -> None:
    """`serve --record -` writes to stdout what `replay -` reads, and `replay --file -` writes lines there only."""
    with serving("--record", "-", env=environment(**QUIETLY)) as daemon:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for datagram in recording("aiobotocore-3.10.0"):
                sock.sendto(datagram.payload, daemon.address)
        daemon.process.send_signal(signal.SIGTERM)
        kept, _ = daemon.process.communicate(timeout=DEADLINE_SECONDS)
    done = run("replay", "--file", "-", "-", env=environment(), stdin=kept)
    assert b"8 datagrams received" in done.stderr
    assert b"8 spans delivered" in done.stderr
    (tmp_path / "out").write_bytes(done.stdout)
    assert len(spans_in(tmp_path / "out")) == 8


@pytest.mark.parametrize("drain_seconds", ["0", "8"])
def test_a_reader_that_has_stalled(drain_seconds: str) -> None:
    """If the reader of `--record -` stalls, all is received, shutdown is in time, each line is written or counted."""
    with serving("--record", "-", "--drain-seconds", drain_seconds, env=environment(**QUIETLY)) as daemon:
        send_attempts(daemon, 3000)
        daemon.process.send_signal(signal.SIGTERM)
        daemon.process.wait(DEADLINE_SECONDS)  # the pipe is full, and nothing in it has been read
        kept, stderr = daemon.process.communicate(timeout=DEADLINE_SECONDS)
    unrecorded = re.search(rb"([\d,]+) lines of the recording not written", stderr)
    assert unrecorded is not None, stderr
    assert b"3,000 datagrams received" in stderr
    lines = [decode_line(line) for line in kept.splitlines()]
    assert isinstance(lines[0], Heading)
    all_lines = len(lines) + int(unrecorded[1].replace(b",", b""))
    # The heading, and, on Linux, the drops so far and, where there was time to find it, the sender.
    assert all_lines - 3000 in ({2, 3} if ON_LINUX else {1})


def test_the_speed(tmp_path: Path) -> None:
    """With `--speed` it takes the recording's time, divided; a signal ends it early, cleanly."""
    kept = tmp_path / "rec"
    kept.write_bytes(_recording_of("aiobotocore-3.10.0"))
    _replayed(kept, tmp_path / "early")
    kept.write_text(f"{kept.read_text(encoding='utf-8')}{_late_line(kept)}\n", encoding="utf-8")

    began = time.monotonic()
    done = run("replay", "--speed", "1800", kept, env=environment(**QUIETLY))
    assert time.monotonic() - began >= 2
    assert b"9 datagrams received in 1 h 0 min" in done.stderr

    env = environment(**QUIETLY, OTEL_BSP_SCHEDULE_DELAY="0", CSM_OTEL_FILE=str(tmp_path / "out"))
    process = subprocess.Popen(
        [*CSM_OTEL, "replay", "--speed", "1", kept], env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        end = time.monotonic() + DEADLINE_SECONDS
        while not (tmp_path / "out").exists() or len(spans_in(tmp_path / "out")) < len(spans_in(tmp_path / "early")):
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        output = read_until(process, b"spans")
        assert "8 datagrams received in " in output
        assert "1 h" not in output
        assert process.wait(DEADLINE_SECONDS) == 128 + signal.SIGINT
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("is_interrupted", [True, False])
def test_a_reader_of_the_spans_that_stalls(tmp_path: Path, *, is_interrupted: bool) -> None:
    """It is waited for, with nothing lost; a signal ends the wait, and what was not written is counted."""
    kept = tmp_path / "rec"
    _record_calls(kept, 500)
    process = subprocess.Popen(
        [*CSM_OTEL, "replay", "--file", "-", kept], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    wait_until(lambda: _waits_in(process.stdout) > 32 * 1024)  # of some 300 KB; a pipe holds 64 KiB
    if is_interrupted:
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_SECONDS) == 128 + signal.SIGINT
    else:  # for longer than a daemon would wait for it, at shutdown included
        end = time.monotonic() + PATIENCE_SECONDS + STALL_SECONDS
        wait_until(lambda: time.monotonic() > end)
        assert process.poll() is None
    out, stderr = process.communicate(timeout=DEADLINE_SECONDS)

    assert b"500 datagrams received" in stderr
    assert (b" not written in time at shutdown" in stderr) is is_interrupted
    assert (out.count(b'"spanId"') == 500) is not is_interrupted


def _record_calls(file: Path, count: int) -> None:
    with serving("--record", file, env=environment(**QUIETLY)) as daemon:
        send_calls(daemon, count)
        assert daemon.stop() == 0


def _waits_in(pipe: IO[bytes] | None) -> int:
    """Return how many bytes are in a pipe."""
    assert pipe is not None
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.parametrize(
    ("is_named", "has_begun"),
    [
        pytest.param(False, True, id="stdin, after some"),
        pytest.param(True, True, id="named pipe, after some"),
        pytest.param(True, False, id="named pipe, before any"),
    ],
)
def test_a_signal_ends_the_wait_for_lines(tmp_path: Path, *, is_named: bool, has_begun: bool) -> None:
    """While the recording's pipe has nothing to read, the first signal ends it cleanly."""
    kept, pipe = tmp_path / "rec", tmp_path / "pipe"
    kept.write_bytes(_recording_of("aiobotocore-3.10.0"))
    os.mkfifo(pipe)
    process = subprocess.Popen(
        [*CSM_OTEL, "replay", "--file", tmp_path / "out", pipe if is_named else "-"],
        env=environment(**QUIETLY),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    # it waits for the reader, which handles signals by then
    writer = os.open(pipe, os.O_WRONLY) if is_named else os.dup(process.stdin.fileno())
    try:
        if has_begun:
            os.write(writer, f"{kept.read_text(encoding='utf-8')}{_late_line(kept)}\ncut in t".encode())
            wait_until(lambda: (tmp_path / "out").exists() and len(spans_in(tmp_path / "out")) == 8)
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_SECONDS) == 128 + signal.SIGINT
        assert process.stderr is not None
        lines = lines_of(process.stderr.read())
        assert [line.partition(" in ")[0] for line in lines] == ["csm-otel: 9 datagrams received"] * has_begun
    finally:
        os.close(writer)
        process.kill()
        process.communicate()


def test_a_recording_is_not_recorded_again(tmp_path: Path) -> None:
    """If the variable names the file that is replayed, it does not grow, and each datagram is replayed once."""
    kept = tmp_path / "rec"
    kept.write_bytes(_recording_of("aiobotocore-3.10.0"))
    before = kept.read_bytes()
    done = run("replay", kept, env=environment(**QUIETLY, CSM_OTEL_RECORD=str(kept)))
    assert (done.returncode, kept.read_bytes()) == (0, before)


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        pytest.param(["exec", "--record", "-", "--", "true"], 2, "exec needs a file", id="exec"),
        pytest.param(["serve", "--port", "0", "--record", "-"], 2, "stdout is the waterfall's", id="console"),
        pytest.param(["serve", "--port", "0", "--record", "/no/such"], 2, "--record: /no/such", id="cannot-be-written"),
    ],
)
def test_a_recording_that_cannot_be_written(words: list[str], code: int, error: str) -> None:
    """It is reported before anything is started."""
    done = run(*words, env=environment(OTEL_TRACES_EXPORTER="console"))
    assert (done.returncode, done.stdout) == (code, b"")
    assert error in done.stderr.decode().splitlines()[-1]


def test_a_variable_that_cannot_be_used_leaves_the_command_alone() -> None:
    """Under `exec` the command runs, and a line says that nothing is recorded, or written to a file."""
    done = run_exec("print('ran')", env=environment(CSM_OTEL_RECORD="-", CSM_OTEL_FILE="-", **QUIETLY))
    assert done.stdout == b"ran\n"
    for flag in ("--record", "--file"):
        assert f"{flag}: stdout is the command's; name a file" in done.stderr.decode()
