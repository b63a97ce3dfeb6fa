"""`--tee`: another CSM listener gets what arrives, and nothing else changes."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import lossless
import pytest
from e2e.canaries import found, plant
from e2e.lifecycle import probe, send_calls
from e2e.programs import ONE_CALL_SENT, Serving, environment, has_traceback, lines_of, run, serving
from lossless import send, wait_until_read
from otlp_backend import wait_until
from platforms import on_linux

from csm_otel.csm.redaction import REDACTED
from csm_otel.intake.binding import grow_buffer

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

QUIET = {"OTEL_TRACES_EXPORTER": "none"}


@contextlib.contextmanager
def listening() -> Generator[socket.socket]:
    """Run a listener that keeps what comes in its receive buffer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        grow_buffer(sock, 2**25)  # as far as the system allows
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        yield sock


def tee_to(sock: socket.socket) -> tuple[str, str]:
    """Return the flag that forwards to a socket."""
    return "--tee", f"127.0.0.1:{sock.getsockname()[1]}"


def heard(sock: socket.socket) -> list[bytes]:
    """Return the datagrams that have come."""
    datagrams = []
    with contextlib.suppress(BlockingIOError):
        while True:
            datagrams.append(sock.recv(65_536))
    return datagrams


def has_received(daemon: Serving, count: int) -> bool:
    """Return whether a daemon has received so many datagrams, by its probe."""
    return probe(daemon, "/healthz")[1].get("datagrams_received") == count


def test_serve() -> None:
    """The listener gets every event; the operator reads where they go and how many went."""
    with listening() as other, serving(*tee_to(other), env=environment(**QUIET)) as daemon:
        assert f"; forwarding events to 127.0.0.1:{other.getsockname()[1]}" in daemon.line
        send_calls(daemon, 20)
        assert daemon.stop() == 0
        apis = [json.loads(datagram)["Api"] for datagram in heard(other)]
    assert apis == [f"Call{number}" for number in range(20)]
    assert b"20 events forwarded by --tee\n" in daemon.rest


def test_exec() -> None:
    """So does `exec`, whose command sends to its private port."""
    with listening() as other:
        done = run("exec", *tee_to(other), "--", *ONE_CALL_SENT, env=environment())
        events: list[dict[str, Any]] = [json.loads(datagram) for datagram in heard(other)]
    assert done.returncode == 0
    assert [(event["Type"], event["Service"], event["Api"]) for event in events] == [
        ("ApiCallAttempt", "S3", "ListBuckets"),
        ("ApiCall", "S3", "ListBuckets"),
    ]
    assert not [event for event in events if event.keys() & {"AccessKey", "SessionToken"}]
    assert b"2 events forwarded by --tee" in done.stderr


def test_no_secret_is_forwarded(tmp_path: Path) -> None:
    """No piece of a key, a token or a signature is in what is sent, wherever it was planted."""
    canaries = plant(4712)
    hexes = tmp_path / "canaries"
    hexes.write_text("".join(f"{payload.hex()}\n" for payload in canaries.payloads), encoding="ascii")
    sender = [sys.executable, lossless.__file__, str(hexes)]
    with listening() as other:
        # it is read meanwhile, as not every system grants so large a buffer
        with serving("--tee", f"127.0.0.1:{other.getsockname()[1]}", env=environment(**QUIET)) as daemon:
            datagrams: list[bytes] = []
            for start in range(0, len(canaries.payloads), 50):
                send(daemon.address, canaries.payloads[start : start + 50])
                wait_until_read(daemon.address[1])
                datagrams += heard(other)
            assert daemon.stop() == 0
            datagrams += heard(other)
        done = run("exec", *tee_to(other), "--quiet", "--", *sender, env=environment())
        by_exec = heard(other)
    assert done.returncode == 0
    assert len(datagrams) == canaries.events
    assert by_exec
    for sent in (b"\n".join(datagrams), b"\n".join(by_exec)):
        assert not found(canaries.secrets, sent)
        assert REDACTED.encode() in sent


@on_linux
def test_a_listener_that_is_away() -> None:
    """What nobody listens for is counted and reported, in a line, at a probe and in the tally; nothing else changes."""
    with listening() as other:
        port = other.getsockname()[1]
    with serving("--tee", str(port), "--health", "0", env=environment(**QUIET)) as daemon:
        send_calls(daemon, 20)
        wait_until(lambda: probe(daemon, "/readyz")[1].get("events_not_forwarded") == 20)
        status, counts = probe(daemon, "/readyz")
        assert (status, counts["troubles"]) == (200, [f"nothing can be forwarded to 127.0.0.1:{port}"])
        assert daemon.stop() == 0
    assert b"20 events not forwarded by --tee (20 as nobody listens)\n" in daemon.rest
    assert b"20 calls with 0 attempts" in daemon.rest
    lines = [line for line in lines_of(daemon.rest) if "connection refused" in line]
    assert lines == [f"csm-otel: --tee 127.0.0.1:{port}: connection refused"]


def test_two_that_forward_to_each_other() -> None:
    """Each gets the other's events once, and none goes round in circles."""
    with listening() as first_free, listening() as second_free:
        ports = [str(free.getsockname()[1]) for free in (first_free, second_free)]
    env = environment(**QUIET, CSM_OTEL_HEALTH="0")
    with (
        serving("--port", ports[0], "--tee", ports[1], env=env) as first,
        serving("--port", ports[1], "--tee", ports[0], env=env) as second,
    ):
        send_calls(first, 5)
        send_calls(second, 7)
        for daemon in (first, second):
            wait_until(partial(has_received, daemon, 12))
        for daemon in (first, second):
            assert daemon.stop() == 0
    assert b"5 events forwarded by --tee" in first.rest
    assert b"7 events forwarded by --tee" in second.rest
    for daemon in (first, second):
        assert b"12 datagrams received" in daemon.rest


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        pytest.param(
            ["--port", "PORT", "--tee", "127.0.0.1:PORT"],
            "--tee: 127.0.0.1:PORT is where csm-otel itself receives",
            id="its-own-address",
        ),
        pytest.param(
            ["--port", "PORT", "--host", "0.0.0.0", "--allow-remote", "--tee", "127.0.0.2:PORT"],
            "--tee: 127.0.0.2:PORT is where csm-otel itself receives",
            id="its-own-by-another-name",
        ),
        pytest.param(["--port", "PORT", "--tee", "x"], "--tee: 'x' is neither a port", id="no-address"),
        pytest.param(["--port", "PORT", "--tee", "a..b:1"], "--tee: a..b:1: not a host name", id="no-host"),
    ],
)
def test_serve_refuses(flags: list[str], line: str) -> None:
    """An address that cannot be used, or that leads back, ends the start with 2 and one line."""
    with listening() as free:
        port = str(free.getsockname()[1])
    done = run("serve", *(flag.replace("PORT", port) for flag in flags), env=environment(**QUIET))
    assert done.returncode == 2
    assert lines_of(done.stderr)[-1].startswith(f"csm-otel: {line.replace('PORT', port)}")
    assert not has_traceback(done.stderr)


def test_exec_goes_without() -> None:
    """Under `exec` an address that cannot be used is reported, and costs the command nothing."""
    done = run("exec", "--tee", "a..b:1", "--", *ONE_CALL_SENT, env=environment())
    assert done.returncode == 0
    assert "csm-otel: --tee: a..b:1: not a host name" in lines_of(done.stderr)
    assert b"1 call with 1 attempt" in done.stderr
