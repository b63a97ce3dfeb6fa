"""`csm-otel doctor` as a whole: what it prints, and its exit code."""

from __future__ import annotations

import json
import signal
import socket
from typing import TYPE_CHECKING

import pytest
from otlp_backend import HttpBackend

from csm_otel.commands import cli
from csm_otel.commands.doctor import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

NOBODY = ["--port", "1", "--control", "none", "--timeout", "1"]


pytestmark = pytest.mark.usefixtures("sound_machine")


@pytest.fixture
def sound_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[None]:
    """Remove what the tests' own machine may have, grant any buffer, and restore what Ctrl-C does."""
    handler = signal.getsignal(signal.SIGINT)
    for name in (
        "AWS_CSM_ENABLED",
        "AWS_CSM_PORT",
        "AWS_CSM_HOST",
        "AWS_CSM_CLIENT_ID",
        "AWS_PROFILE",
        "AWS_SESSION_TOKEN",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CSM_OTEL_RECEIVE_BUFFER_BYTES", "4096")
    yield
    signal.signal(signal.SIGINT, handler)


def test_nothing_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    """A sound machine has no findings; the state of each part is printed."""
    assert cli.main(["doctor", *NOBODY]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[:4]] == ["environment", "profiles", "socket", "buffer"]
    assert lines[-1] == "no findings"


def test_findings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each has what, why, what to do and where to read more."""
    monkeypatch.setenv("AWS_CSM_ENABLED", "1")

    assert cli.main(["doctor", *NOBODY, "--", "/nowhere/tool"]) == 1
    out = capsys.readouterr().out
    assert "csm-enabled-value: AWS_CSM_ENABLED is '1'\n  why:  It enables CSM for JavaScript" in out
    assert "  do:   export AWS_CSM_ENABLED=true\n  more: docs/troubleshooting.md#csm-enabled-value\n" in out
    assert "command-not-found" in out
    assert out.endswith("\n3 findings\n")


def test_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The document has the same, and its schema."""
    monkeypatch.setenv("CSM_OTEL_PENDING_EVENTS", "many")

    assert cli.main(["doctor", *NOBODY, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == SCHEMA
    findings = [finding for check in document["checks"] for finding in check["findings"]]
    assert [(finding["code"], sorted(finding)) for finding in findings] == [
        ("setting-invalid", ["code", "fix", "what", "why"])
    ]


def test_bad_flags(capsys: pytest.CaptureFixture[str]) -> None:
    """A flag that cannot be used ends it; a variable is a finding."""
    assert cli.main(["doctor", "--port", "x"]) == 2
    assert capsys.readouterr().err.startswith("csm-otel: --port: ")


def test_below_exec(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What scripts send to there is the outer csm-otel, on a port of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = str(sock.getsockname()[1])
        monkeypatch.setenv("AWS_CSM_ENABLED", "true")
        monkeypatch.setenv("AWS_CSM_HOST", "127.0.0.1")
        monkeypatch.setenv("AWS_CSM_PORT", port)
        monkeypatch.setenv("AWS_CSM_CLIENT_ID", f"a;00-{1:032x}-{1:016x}-01")
        cli.main(["doctor", *NOBODY])

    out = capsys.readouterr().out
    assert f"listens on UDP port {port}" in out
    assert "csm-port-differs" not in out


def test_a_back_end(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With --canary the trace is in the back end, and its id is printed."""
    with HttpBackend() as backend:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", backend.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "60000")
        assert cli.main(["doctor", *NOBODY[:4], "--timeout", "60", "--canary"]) == 0
        (span,) = backend.spans
    assert f"trace {span.trace_id.hex()}" in capsys.readouterr().out
