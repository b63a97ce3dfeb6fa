"""The program's entry point: the same by its name and by ``python -m``, and quiet when interrupted at the start."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys

import pytest

from csm_otel import __version__
from csm_otel.__main__ import main
from csm_otel.commands import cli

_HANDLER = """
import signal, sys
from csm_otel import __main__
from csm_otel.commands import cli
{before}
cli.main = lambda: print(signal.getsignal(signal.SIGINT).name) or 7
sys.exit(__main__.main())
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run Python."""
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)


def test_the_module_is_the_program() -> None:
    """``python -m csm_otel`` is ``csm-otel``."""
    done = run("-m", "csm_otel", "--version")

    assert (done.returncode, done.stderr) == (0, "")
    assert __version__ in done.stdout


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        pytest.param("signal.signal(signal.SIGINT, signal.default_int_handler)", "SIG_DFL", id="usual"),
        pytest.param("signal.signal(signal.SIGINT, signal.SIG_IGN)", "SIG_IGN", id="ignored-by-the-parent"),
    ],
)
def test_an_interrupt_at_the_start(before: str, expected: str) -> None:
    """Ctrl-C before the command line is read ends it without a traceback, unless the parent ignores it."""
    done = run("-c", _HANDLER.format(before=before))

    assert (done.returncode, done.stdout, done.stderr) == (7, f"{expected}\n", "")


def test_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process exits with the result of the command line, and no text of an exception is printed."""
    before = sys.excepthook, signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(cli, "main", lambda: 5)
    for hook in ("excepthook", "unraisablehook"):
        monkeypatch.setattr(sys, hook, getattr(sys, hook))
    try:
        assert main() == 5
        assert sys.excepthook is not before[0]
    finally:
        signal.signal(signal.SIGINT, before[1])
        gc.enable()
