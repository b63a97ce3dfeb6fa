"""Completion in real shells on a terminal: what is on the line after Tab."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from interop.install_packagers import BASH_COMPLETION, why_no_shells
from interop.packages import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

DEADLINE_SECONDS = 60.0
_PROMPT = b"ready> "
_TAB, _SHOW, _KILL_LINE = b"\t", b"\x18", b"\x15"
# Each reads the line that the documentation has for it, and has a key, Ctrl-X, that writes the line to a file.
_BASH = """
PS1='ready> '
bind -x '"\\C-x": printf %s "$READLINE_LINE" >"$LINE.new" && mv "$LINE.new" "$LINE"'
"""
_START = {
    "bash-with-bash-completion": f"{_BASH}\n. {BASH_COMPLETION}\nDOCUMENTED",
    "bash-alone": f"{_BASH}\nDOCUMENTED",
    "zsh": """
PS1='ready> '
show() { print -rn -- $BUFFER >$LINE.new; mv $LINE.new $LINE }
zle -N show
bindkey '^X' show
DOCUMENTED
autoload -Uz compinit
compinit -u -D
""",
    "fish": """
function fish_prompt; printf 'ready> '; end
function show; commandline >$LINE.new; mv $LINE.new $LINE; end
bind \\cx show
DOCUMENTED
""",
}
_LINES = (
    ("csm-otel exe", "csm-otel exec "),
    ("csm-otel exec --fa", "csm-otel exec --fail-on "),
    ("csm-otel serve --no-acc", "csm-otel serve --no-account-id "),
    ("csm-otel exec --sort p", "csm-otel exec --sort p95 "),
    ("csm-otel exec --record ni", "csm-otel exec --record nightly.ndjson "),
    ("csm-otel serve --spool sp", "csm-otel serve --spool spooled/"),
    ("csm-otel replay ni", "csm-otel replay nightly.ndjson "),
    ("csm-otel report x ni", "csm-otel report x nightly.ndjson "),
    ("csm-otel exec --quiet -- only-o", "csm-otel exec --quiet -- only-one-such "),
    ("csm-otel exec -- cat ni", "csm-otel exec -- cat nightly.ndjson "),
    ("csm-otel exec -- cat --sort ni", "csm-otel exec -- cat --sort nightly.ndjson "),  # a flag of ours as well
    # Where the shell knows the flags of other commands, those behind the "--" are completed as well: here, our own.
    ("csm-otel exec -- csm-otel fl", "csm-otel exec -- csm-otel flush "),
)
_NOT_ALONE = "csm-otel exec -- csm-otel fl"


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, descriptor: int, line: Path) -> None:
        self._descriptor = descriptor
        self._line = line
        self.printed = b""

    def completed(self, text: str) -> str:
        """Type a text and Tab, and return the line; it is empty afterwards."""
        self._line.unlink(missing_ok=True)
        os.write(self._descriptor, text.encode() + _TAB + _SHOW)
        self.wait(self._line.exists)
        os.write(self._descriptor, _KILL_LINE)
        return self._line.read_text().rstrip("\n")

    def wait(self, condition: Callable[[], bool]) -> None:
        """Read what the shell prints until a condition holds."""
        end = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert time.monotonic() < end, self.printed
            if select.select([self._descriptor], [], [], 0.02)[0]:
                self.printed += os.read(self._descriptor, 65_536)


@contextmanager
def shell(name: str, start: str, folder: Path, csm_otel: Path) -> Generator[Terminal]:
    """Run a shell that has read the start file and no other of its user's, in a folder with a few files."""
    document = (ROOT / "docs/install.md").read_text(encoding="utf-8")
    start = start.replace(
        "DOCUMENTED", "".join(re.findall(rf"^```{name}\n(.*?)^```$", document, re.MULTILINE | re.DOTALL))
    )
    home, work, bin_folder = folder / "home", folder / "work", folder / "bin"
    for path in (home, work / "spooled", bin_folder):
        path.mkdir(parents=True)
    (work / "nightly.ndjson").touch()
    (bin_folder / "only-one-such").write_text("#!/bin/sh\n")
    (bin_folder / "only-one-such").chmod(0o755)
    (home / ".zshrc").write_text(start)
    (home / "start").write_text(start)
    environ = {
        "HOME": str(home),
        "ZDOTDIR": str(home),
        "TERM": "xterm",
        "LC_ALL": "C.UTF-8",
        "PATH": f"{csm_otel.parent}:{bin_folder}:/usr/local/bin:/usr/bin:/bin",
        "LINE": str(folder / "line"),
    }
    command = {
        "bash": ["bash", "--noprofile", "--rcfile", str(home / "start"), "-i"],
        "zsh": ["zsh", "-d", "-i"],
        "fish": ["fish", "-C", f"source {home}/start", "-i"],
    }[name]
    pid, descriptor = pty.fork()
    if pid == 0:
        os.chdir(work)
        os.execvpe(command[0], command, environ)
    terminal = Terminal(descriptor, folder / "line")
    try:
        terminal.wait(lambda: _PROMPT in terminal.printed)
        yield terminal
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(descriptor)


@pytest.mark.skipif(bool(why_no_shells()), reason=f"needs {why_no_shells()}")
@pytest.mark.parametrize(
    ("start", "installer"),
    [("bash-with-bash-completion", "pipx"), ("bash-alone", "pip"), ("zsh", "uv"), ("fish", "pipx")],
)
def test_tab(installed: Callable[[str], Path], tmp_path: Path, start: str, installer: str) -> None:
    """Commands, flags, words, files and folders are completed, and behind "--" what another command takes."""
    lines = [(text, line) for text, line in _LINES if start != "bash-alone" or text != _NOT_ALONE]
    with shell(start.partition("-")[0], _START[start], tmp_path, installed(installer)) as terminal:
        assert [terminal.completed(text) for text, _ in lines] == [line for _, line in lines]
