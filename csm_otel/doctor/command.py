"""Check a command, which is never run: whether CSM's variables reach its program, and whether its SDK has CSM."""

from __future__ import annotations

import re
import shutil
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from csm_otel.doctor.binaries import MOST_BYTES
from csm_otel.doctor.finding import Checked, Finding, environment_lost
from csm_otel.doctor.sdks import sdk_of
from csm_otel.doctor.shell_script import commands_in
from csm_otel.doctor.texts import text_of
from csm_otel.errors import quoted
from csm_otel.process.command_name import behind_wrapper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from csm_otel.doctor.sdk import Sdk

_ENABLED = "AWS_CSM_ENABLED"
_SUDO = ("sudo", "doas")
_SUDO_KEEPS = re.compile(rf"-[A-Za-z]*E|--preserve-env|.*{_ENABLED}.*")
_SUDO_TAKES_A_VALUE = re.compile(r"-[A-Za-z]*[CDghpRrTtuU]|--(?:user|group|host|prompt|chdir|chroot|role|type)")
_ENV_CLEARS = re.compile(r"-[0v]*i.*|-|--ignore-environment")
_CONTAINERS = ("docker", "docker-compose", "podman", "podman-compose", "nerdctl", "kubectl", "oc")
_REMOTE = ("ssh", "mosh", "rsh")
_LOGIN = ("su", "runuser")
_BY_SERVICE = ("systemd-run", "pkexec")
_ELSEWHERE = (*_REMOTE, *_CONTAINERS, *_LOGIN, *_BY_SERVICE)
_SHELL = re.compile(r"(?:ba|da|a|k|z|mk)?sh")
_IN_SCRIPTS = (*_SUDO, *_ELSEWHERE, "env", "unset")
_ASSIGNS = re.compile(rf"^[^#\n]*\b{_ENABLED}=(?![\"']?(?i:true)\b)", re.MULTILINE)
_CODE = re.compile(r"-[A-Za-z]*c")
_SHEBANG_BYTES = 256  # Linux: BINPRM_BUF_SIZE


def check_command(argv: Sequence[str], environ: Mapping[str, str], *, most_bytes: int = MOST_BYTES) -> Checked:
    """Return the findings about a command as it would be started from here.

    Of a program without an interpreter, ``most_bytes`` are read.
    """
    findings: list[Finding] = []
    words = list(argv)
    while rest := behind_wrapper(words) or _behind_sudo(words):
        findings += _not_found(words[0], environ)
        findings += _wrapper_findings(PurePath(words[0]).name, words[1 : len(words) - len(rest)])
        words = rest
    name = PurePath(words[0]).name
    findings += _not_found(words[0], environ)
    findings += _elsewhere_findings(name, words[1:])
    path = shutil.which(words[0], path=environ.get("PATH"))
    if path is None or name in _ELSEWHERE:
        return Checked("command", path or f"{quoted(name)} is not on the PATH", tuple(findings))
    if _SHELL.fullmatch(name):
        return Checked("command", path, (*findings, *_script_findings(words[1:])))
    state, of_program = _program(Path(path), words, environ, most_bytes)
    return Checked("command", state, (*findings, *of_program))


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


def _program(
    program: Path, words: Sequence[str], environ: Mapping[str, str], most_bytes: int
) -> tuple[str, list[Finding]]:
    """Return a line about a program that exists, and its findings."""
    interpreter = interpreter_of(program, environ)
    if interpreter is None:
        return _with_sdk(str(program), sdk_of(program, words, environ, most_bytes=most_bytes))
    named, path = interpreter
    if path is None:
        finding = Finding(
            "interpreter-missing",
            f"the first line of {quoted(program.name)} names an interpreter that does not exist: {quoted(named)}",
            "The script cannot be started.",
            "install it, or name the interpreter: csm-otel exec -- python3 SCRIPT",
        )
        return str(program), [finding]
    if interpreter_of(path, environ) is not None:  # as the shims of version managers: which one it starts is unknown
        return f"{program}, run by the script {path}", []
    state = f"{program}, run by {path}"
    if _SHELL.fullmatch(path.name):
        return state, _script_findings([str(program)])
    return _with_sdk(state, sdk_of(path, [str(path), str(program), *words[1:]], environ))


def _with_sdk(state: str, sdk: Sdk) -> tuple[str, list[Finding]]:
    return f"{sdk.name}; {state}" if sdk.name else state, list(sdk.findings)


def _script_findings(words: Sequence[str]) -> list[Finding]:
    """Return the findings about the commands in a shell's script; ``words`` are the arguments of the shell."""
    options = [word for word in words if word.startswith("-")]
    rest = [word for word in words if not word.startswith("-")]
    if not rest:
        return []
    is_code = any(_CODE.fullmatch(option) for option in options)
    text = rest[0] if is_code else text_of(Path(rest[0]))
    where = "" if is_code else f"{PurePath(rest[0]).name}: "
    commands = commands_in(text, _IN_SCRIPTS)
    found = []
    if _ASSIGNS.search(text) or any(command[0] == "unset" and _ENABLED in command for command in commands):
        found.append(environment_lost(f"it changes {_ENABLED}", f"leave {_ENABLED} to csm-otel"))
    for command in commands:
        behind = behind_wrapper(command) or _behind_sudo(command)
        name, arguments = PurePath(command[0]).name, command[1:]
        found += _wrapper_findings(name, arguments[: len(arguments) - len(behind or ())])
        found += _elsewhere_findings(name, arguments)
    return [one._replace(what=where + one.what) for one in dict.fromkeys(found)]


def _not_found(word: str, environ: Mapping[str, str]) -> list[Finding]:
    if shutil.which(word, path=environ.get("PATH")):
        return []
    name = quoted(PurePath(word).name)
    return [Finding("command-not-found", f"there is no program {name} on the PATH", "It cannot run.", "check PATH")]


def _behind_sudo(words: Sequence[str]) -> list[str]:
    """Return the command of sudo, [] where it has none or the first word is another program."""
    if PurePath(words[0]).name not in _SUDO:
        return []
    at = 1
    while at < len(words) and (words[at].startswith("-") or re.match(r"\w+=", words[at])):
        at += 2 if _SUDO_TAKES_A_VALUE.fullmatch(words[at]) else 1
    return list(words[at:])


def _wrapper_findings(program: str, options: Sequence[str]) -> list[Finding]:
    """Return a finding if a wrapper with these options does not pass the variables on to its command."""
    if program in _SUDO and not any(map(_SUDO_KEEPS.fullmatch, options)):
        fix = "put csm-otel behind it: sudo csm-otel exec -- COMMAND; or keep the variables: sudo -E"
        return [environment_lost(f"{program} starts its command with an environment of its own", fix)]
    if program == "env":
        own = [word for word in options if _ENABLED in word]
        if any(word != f"{_ENABLED}=true" for word in own):
            return [environment_lost(f"env changes {_ENABLED}", f"leave {_ENABLED} out of its options")]
        if not own and any(map(_ENV_CLEARS.fullmatch, options)):
            fix = "put csm-otel behind it: env -i ... csm-otel exec -- COMMAND"
            return [environment_lost("env -i clears the environment", fix)]
    return []


def _elsewhere_findings(program: str, words: Sequence[str]) -> list[Finding]:
    """Return a finding if a program runs its command elsewhere."""
    if program in _REMOTE:
        fix = f"run csm-otel there: {program} HOST csm-otel exec -- COMMAND"
        return [environment_lost(f"{program} starts its command on another host, without these variables", fix)]
    if program in _CONTAINERS and {"run", "exec"} & set(words):
        fix = "run csm-otel in the container, or share the host's network and pass the variables: --network host -e"
        what = f"{program} starts its command in a container, with an environment and loopback of its own"
        return [environment_lost(what, fix)]
    if program in _LOGIN and {"-", "-l", "--login"} & set(words):
        fix = f"put csm-otel behind it, in the command of {program} -c"
        return [environment_lost(f"{program} - clears the environment", fix)]
    if program in _BY_SERVICE and "--scope" not in words:
        fix = f"put csm-otel behind it: {program} csm-otel exec -- COMMAND"
        return [environment_lost(f"{program} starts its command without these variables", fix)]
    return []
