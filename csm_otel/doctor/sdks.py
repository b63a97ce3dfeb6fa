"""Whether the AWS SDK of a program has CSM, by its files; it is never run: `sdk_of`."""

from __future__ import annotations

import contextlib
import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.doctor.binaries import MOST_BYTES, sdk_of_binary
from csm_otel.doctor.jars import sdk_of_java
from csm_otel.doctor.packages import sdk_of_dotnet, sdk_of_go_run, sdk_of_node, sdk_of_php, sdk_of_ruby
from csm_otel.doctor.python_packages import sdk_of_python
from csm_otel.doctor.python_script import python_script_findings
from csm_otel.doctor.sdk import UNKNOWN, with_csm
from csm_otel.doctor.switched_off import switched_off
from csm_otel.doctor.texts import text_of
from csm_otel.process.command_name import target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from csm_otel.doctor.sdk import Sdk


class Command(NamedTuple):
    """A command line, and what its interpreter would run."""

    program: Path
    argv: Sequence[str]
    environ: Mapping[str, str]
    target: str
    """Of an interpreter, a script, module or jar; "" without one."""
    script: Path | None


_VERSION = re.compile(r"(?<=[a-z])[\d.]+$")


def sdk_of(program: Path, argv: Sequence[str], environ: Mapping[str, str], *, most_bytes: int = MOST_BYTES) -> Sdk:
    """Return the SDK that a program has; ``argv`` is its command line, which may name a script.

    Of a program that is no interpreter, ``most_bytes`` are read.
    """
    with contextlib.suppress(OSError):  # nothing is known of what cannot be read
        return _sdk_of(program, argv, environ, most_bytes)
    return UNKNOWN


def _sdk_of(program: Path, argv: Sequence[str], environ: Mapping[str, str], most_bytes: int) -> Sdk:
    name = _VERSION.sub("", program.name)
    target = target_of([name, *argv[1:]])
    command = Command(program, argv, environ, target, Path(target) if target else None)
    if name in _INTERPRETERS:
        return _INTERPRETERS[name](command)
    if name == "aws" and (program.resolve().parent / "awscli").is_dir():  # its folders are beside the program
        return with_csm("version 2 of the AWS CLI")
    if program.with_name(f"{program.name}.deps.json").is_file():
        return sdk_of_dotnet([str(program)])
    return sdk_of_binary(program, most_bytes)


def _of_python(command: Command) -> Sdk:
    text = text_of(command.script) if command.script else ""
    if not command.script:
        text = next((code for option, code in pairwise(command.argv) if option == "-c"), "")
    sdk = sdk_of_python(command.program, command.script, text, command.environ)
    return sdk._replace(findings=(*python_script_findings(text), *sdk.findings))


def _of_script(language: str, command: Command, sdk: Sdk) -> Sdk:
    text = text_of(command.script) if command.script else ""
    return sdk._replace(findings=(*switched_off(language, text), *sdk.findings))


_INTERPRETERS: dict[str, Callable[[Command], Sdk]] = {
    "python": _of_python,
    "pypy": _of_python,
    "node": lambda command: _of_script("node", command, sdk_of_node(command.script, command.environ)),
    "nodejs": lambda command: _of_script("node", command, sdk_of_node(command.script, command.environ)),
    "ruby": lambda command: _of_script("ruby", command, sdk_of_ruby(command.program, command.script, command.environ)),
    "php": lambda command: _of_script("php", command, sdk_of_php(command.script)),
    "java": lambda command: sdk_of_java(command.argv, command.target, command.environ),
    "dotnet": lambda command: sdk_of_dotnet(command.argv),
    "go": lambda command: sdk_of_go_run(command.argv),
}
"""By the name of a program, without its version."""
