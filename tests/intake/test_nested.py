"""The report of a nested `exec`: whom it is for, how it is sent and read."""

from __future__ import annotations

import socket

import pytest
from otlp_backend import DEADLINE_SECONDS

from csm_otel.commands.launch import environment_of, launch_of
from csm_otel.config.early import read_early
from csm_otel.intake.nested import receiver_in, report_calls, reported_calls

OUTER = environment_of({}, launch_of(["etl.py"], {}, read_early({}, {})), port=4242)
"""What an `exec` gives its command."""


def test_the_receiver_of_an_outer_exec() -> None:
    """It is found in the environment that exec gives its command, whatever name its application has."""
    assert receiver_in(OUTER) == ("127.0.0.1", 4242)
    assert receiver_in({**OUTER, "AWS_CSM_CLIENT_ID": f"a;b{OUTER['AWS_CSM_CLIENT_ID']}"}) == ("127.0.0.1", 4242)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(dict.fromkeys(OUTER, ""), id="nothing"),
        pytest.param({"AWS_CSM_ENABLED": "false"}, id="switched-off"),
        pytest.param({"AWS_CSM_HOST": "10.0.0.1"}, id="another-host"),
        pytest.param({"AWS_CSM_HOST": ""}, id="no-host"),
        pytest.param({"AWS_CSM_CLIENT_ID": "etl"}, id="another-daemon"),
        pytest.param({"AWS_CSM_CLIENT_ID": ""}, id="no-client-id"),
        *({"AWS_CSM_PORT": port} for port in ("", "0", "65536", "x", "-1", "٣", "9" * 99)),
    ],
)
def test_no_outer_exec(changed: dict[str, str]) -> None:
    """Who sends to something else than csm-otel, or to nobody, has no receiver to report to."""
    assert receiver_in({**OUTER, **changed}) is None


@pytest.mark.parametrize("calls", [1, 1_234_567])
def test_a_report_arrives(calls: int) -> None:
    """What is sent is read."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(DEADLINE_SECONDS)
        report_calls(sock.getsockname(), calls)
        assert reported_calls(sock.recv(1000)) == calls


def test_nobody_listens() -> None:
    """A report to nobody has no effect, any number of times."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        address = sock.getsockname()
    for _ in range(3):
        report_calls(address, 1)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"csm-otel exec saw calls",
        b"csm-otel exec saw -1 calls",
        b"csm-otel exec saw 1 calls\n",
        b"csm-otel exec saw 1000000000000 calls",
        "csm-otel exec saw ٣ calls".encode(),
    ],
)
def test_no_report(payload: bytes) -> None:
    """Anything else is a datagram like any other."""
    assert reported_calls(payload) is None
