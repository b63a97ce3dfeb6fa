"""Check a command, which is never run: whether CSM's variables reach its program, and whether its SDK has CSM."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from csm_otel.doctor.finding import Checked, Finding
from csm_otel.doctor.sdks import sdk_findings
from csm_otel.errors import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SUDO_KEEPS = ("-E", "--preserve-env")
_ENV_CLEARS = ("-", "-i", "--ignore-environment")
_CONTAINERS = ("docker", "podman", "nerdctl", "kubectl", "oc")
_REMOTE = ("ssh", "mosh", "rsh")
_SHEBANG_BYTES = 256  # Linux: BINPRM_BUF_SIZE


def check_command(argv: Sequence[str], environ: Mapping[str, str]) -> Checked:
    """Return the findings about a command as it would be started from here."""
    findings = _wrapper_findings(argv)
    path = shutil.which(argv[0], path=environ.get("PATH"))
    name = quoted(PurePath(argv[0]).name)
    if path is None:
        finding = Finding(
            "command-not-found", f"there is no program {name} on the PATH", "It cannot run.", "check PATH"
        )
        return Checked("command", f"{name} is not on the PATH", (*findings, finding))
    program = Path(path)
    interpreter = interpreter_of(program, environ)
    if interpreter is not None and interpreter[1] is None:
        finding = Finding(
            "interpreter-missing",
            f"the first line of {name} names an interpreter that does not exist: {quoted(interpreter[0])}",
            "The script cannot be started.",
            "install it, or name the interpreter: csm-otel exec -- python3 SCRIPT",
        )
        return Checked("command", quoted(path), (*findings, finding))
    runs = interpreter[1] if interpreter is not None and interpreter[1] is not None else program
    findings += sdk_findings(runs, argv)
    by = f", run by {runs}" if runs != program else ""
    return Checked("command", f"{path}{by}", tuple(findings))


def interpreter_of(program: Path, environ: Mapping[str, str]) -> tuple[str, Path | None] | None:
    """Return the interpreter that a program's first line names, as text and as a path; None without such a line."""
    try:
        with program.open("rb") as file:
            line = file.read(_SHEBANG_BYTES).partition(b"\n")[0]
    except OSError:
        return None
    words = line[2:].decode(errors="replace").split() if line.startswith(b"#!") else []
    if not words:
        return None
    if PurePath(words[0]).name == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word] or words
    path = shutil.which(words[0], path=environ.get("PATH"))
    return words[0], Path(path) if path else None


def _wrapper_findings(argv: Sequence[str]) -> list[Finding]:
    """Return a finding if the command's first program does not pass its environment on."""
    program, words = PurePath(argv[0]).name, argv[1:]
    if program in ("sudo", "doas") and not any(word.startswith(_SUDO_KEEPS) for word in words):
        fix = "put csm-otel behind it: sudo csm-otel exec -- COMMAND; or keep the variables: sudo -E"
        return [_lost(f"{program} starts its command with an environment of its own", fix)]
    if program == "env" and any(word in _ENV_CLEARS for word in words):
        return [_lost("env -i clears the environment", "put csm-otel behind it: env -i ... csm-otel exec -- COMMAND")]
    if program in _REMOTE:
        fix = f"run csm-otel there: {program} HOST csm-otel exec -- COMMAND"
        return [_lost(f"{program} starts its command on another host, without these variables", fix)]
    if program in _CONTAINERS and {"run", "exec"} & set(words):
        fix = "run csm-otel in the container, or share the host's network and pass the variables: --network host -e"
        return [_lost(f"{program} starts its command in a container, with an environment and loopback of its own", fix)]
    if program == "su" and {"-", "-l", "--login"} & set(words):
        return [_lost("su - clears the environment", "put csm-otel behind it, in the command of su -c")]
    return []


def _lost(what: str, fix: str) -> Finding:
    why = "The variables that enable CSM do not reach the program, so it sends nothing."
    return Finding("environment-lost", what, why, fix)
