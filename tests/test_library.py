"""The library: the examples of its guide run as printed, and the example program traces real datagrams."""

from __future__ import annotations

import ast
import doctest
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from datagrams import attempt, call
from otlp_backend import DEADLINE_SECONDS

import csm_otel

ROOT = Path(__file__).parent.parent
GUIDE, EXAMPLE = ROOT / "docs/library.md", ROOT / "examples/embed.py"


def test_the_guide_runs() -> None:
    """The examples of the guide, in order, print what the guide shows."""
    text = GUIDE.read_text("utf-8")
    blocks = re.findall(r"^```pycon\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, GUIDE.name, GUIDE.name, 0)
    runner = doctest.DocTestRunner(verbose=False)
    output: list[str] = []

    results = runner.run(test, out=output.append)

    assert output == []
    assert results.attempted == sum(line.startswith(">>> ") for line in text.splitlines())


def test_the_guide_names_all_reasons() -> None:
    """The table of reasons has each reason, and no other."""
    _, _, table = GUIDE.read_text("utf-8").partition("| `Reason` |")

    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == {reason.value for reason in csm_otel.Reason}


@pytest.mark.parametrize("name", csm_otel.__all__)
def test_the_guide_has_each_name(name: str) -> None:
    """What is public is in the guide, as code."""
    code = re.findall(r"```.*?```|`[^`]+`", GUIDE.read_text("utf-8"), re.DOTALL)

    assert any(re.search(rf"\b{name}\b", one) for one in code)


def test_the_example_uses_public_names_only() -> None:
    """A program needs no module below the package, and no private name."""
    tree = ast.parse(EXAMPLE.read_text("utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    ours = [node for node in imports if "csm_otel" in ast.unparse(node)]

    assert [node.module for node in ours if isinstance(node, ast.ImportFrom)] == ["csm_otel"] * len(ours)
    assert {alias.name for node in ours for alias in node.names} <= set(csm_otel.__all__)


def test_the_example_runs() -> None:
    """Datagrams sent to its socket become spans, at once or when a signal ends it."""
    process = subprocess.Popen([sys.executable, EXAMPLE, "0"], stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(DEADLINE_SECONDS, process.kill)  # ends every read below
    watchdog.start()
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().removeprefix("listening on port "))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            began_ms = time.time_ns() // 1_000_000 - 30
            for payload in (
                attempt(Timestamp=began_ms + 2, HttpStatusCode=503, AwsException="SlowDown", Api="PutObject"),
                attempt(Timestamp=began_ms + 2),
                call(Timestamp=began_ms),
                b"junk",
            ):
                sock.sendto(payload, ("127.0.0.1", port))
        lines = [process.stdout.readline() for _ in range(3)]
        process.terminate()
        rest, _ = process.communicate()
    finally:
        watchdog.cancel()
        process.kill()

    # A call is held for a moment on a slow machine, where its datagrams seem to have been delayed.
    lines.remove("malformed: not_json\n")
    assert lines == ["call S3.GetObject 30 ms ok\n", "attempt S3.GetObject attempt 25 ms ok\n"]
    assert rest == "orphan S3.PutObject attempt 25 ms SlowDown\n"
    assert process.returncode == 0
