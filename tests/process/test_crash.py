"""The output about an unexpected exception."""

from __future__ import annotations

import subprocess
import sys

import pytest

_SECRET = "AKIAQAAAAAAAGMKEM7X5"
_THREAD = "import threading; t = threading.Thread(target=fail); t.start(); t.join()"
_UNRAISABLE = "class C:\n  __del__ = lambda self: fail()\nc = C(); del c"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param("fail()", 1, id="main"),
        pytest.param(_THREAD, 0, id="thread"),
        pytest.param(_UNRAISABLE, 0, id="unraisable"),
    ],
)
def test_which_and_where(body: str, code: int) -> None:
    """In any thread, an exception is one line with its type and place, without its text."""
    script = f"import csm_otel.process.crash as c; c.hide_texts()\ndef fail(): raise KeyError('{_SECRET}')\n{body}"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)

    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (code, "")
    assert line.startswith("csm-otel: internal error: KeyError at <string>:2")
    assert _SECRET not in line


def test_an_exit_is_no_error() -> None:
    """SystemExit prints nothing."""
    script = "import sys, csm_otel.process.crash as c; c.hide_texts(); sys.exit(3)"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, timeout=60)

    assert (done.returncode, done.stdout, done.stderr) == (3, b"", b"")
