"""The action for GitHub: its metadata is valid, and a runner of its steps does what docs/install.md says."""

from __future__ import annotations

import json
import socket
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from interop.install_act import act, run_workflow
from interop.install_packagers import program, why_no_packagers
from interop.packages import ROOT, run
from otlp_backend import HttpBackend

if TYPE_CHECKING:
    from pathlib import Path

# soak/one_call.py sends what an SDK sends of one call. What steps see is written to a file: act may lose lines.
_WORKFLOW = """
on: push
jobs:
  nightly:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: ./
        id: old
        continue-on-error: true
        with: { python: "false" }
      - run: echo "old python - ${{ steps.old.outcome }}" >>"$SEEN"
      - uses: ./
        with:
          mode: wrapper
          args: |
            --file
            with a space.jsonl
          command: |
            python3 soak/one_call.py exit 0
            echo "wrapped as $(basename "$0")" >>"$SEEN"
      - run: test -s "with a space.jsonl" && csm-otel --version && ! command -v python3 | grep csm-otel
      - uses: ./
        id: failing
        continue-on-error: true
        with: { mode: wrapper, command: 'false; echo not reached >>"$SEEN"' }
      - run: echo "failing command - ${{ steps.failing.outcome }}" >>"$SEEN"
      - uses: ./
        with: { mode: background, port: "PORT", args: --no-account-id }
      - run: python3 soak/one_call.py exit 0
      - run: csm-otel flush && echo "flushed, enabled - $AWS_CSM_ENABLED" >>"$SEEN"
      - run: python3 soak/one_call.py exit 0
      - uses: ./
        if: always()
        with: { mode: stop }
      - run: echo "stopped, enabled - $AWS_CSM_ENABLED" >>"$SEEN"
      - uses: ./
        id: unknown
        continue-on-error: true
        with: { mode: foreground }
      - run: echo "wrong mode - ${{ steps.unknown.outcome }}" >>"$SEEN"
  from-a-wheel:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: ./
        with: { package: "WHEEL" }
      - run: |
          bin=$(dirname "$(realpath "$(command -v csm-otel)")")
          cat "$bin"/../lib/python3*/site-packages/csm_otel-*/direct_url.json >"$SEEN.wheel"
"""


@pytest.fixture
def udp_port() -> int:
    """Return a free UDP port of 127.0.0.1."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.mark.skipif(bool(why_no_packagers()), reason=f"{why_no_packagers()}")
def test_the_metadata_is_valid(tmp_path: Path) -> None:
    """It follows the published schema."""
    run(program("check-jsonschema"), "--builtin-schema", "vendor.github-actions", ROOT / "action.yml", cwd=tmp_path)


@pytest.mark.skipif(bool(act().why_not()), reason=f"{act().why_not()}")
def test_jobs(packages: tuple[Path, Path], tmp_path: Path, udp_port: int) -> None:
    """One wraps commands, and has a daemon in the background that is flushed and stopped; one installs a wheel."""
    with HttpBackend() as backend:
        workflow = _WORKFLOW.replace("PORT", str(udp_port)).replace("WHEEL", str(packages[0]))
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": backend.endpoint, "SEEN": str(tmp_path / "seen")}
        done = run_workflow(tmp_path, ROOT, workflow, **variables)
    names = Counter(
        span.name
        for request in backend.accepted
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    )

    assert done.returncode == 0, done.stdout
    assert (tmp_path / "seen").read_text().splitlines() == [
        "old python - failure",
        "wrapped as nightly",
        "failing command - failure",
        "flushed, enabled - true",
        "stopped, enabled - false",
        "wrong mode - failure",
    ]
    assert json.loads((tmp_path / "seen.wheel").read_text())["url"] == packages[0].as_uri()
    assert names == {"nightly": 2, "S3.ListBuckets": 3, "S3.ListBuckets attempt": 3}
