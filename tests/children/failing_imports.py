"""Run a command under ``exec`` once for each module that is loaded beside it, of which that one cannot be loaded.

Each run is in a forked process, with everything of others loaded already. Prints a list of [module, exit code, stderr]
as JSON. Arguments: those of ``csm-otel exec``.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from csm_otel.commands.cli import main

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

OTHERS = ("msgspec", "opentelemetry.semconv", "opentelemetry.context")
ERRORS = (ImportError, MemoryError, SystemExit, KeyboardInterrupt, RecursionError, OSError)


class Refusal:
    """Makes a module fail to load."""

    def __init__(self, name: str, error: type[BaseException]) -> None:
        self._name = name
        self._error = error

    def find_spec(self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> None:
        """Refuse the module, and leave all others to the finders behind this one.

        Raises:
            BaseException: the module is the one to be refused.
        """
        if name == self._name:
            raise self._error("hunter2")


def loaded_later() -> list[str]:
    """Load what a run loads beside its command, and return the names of our own modules of it, forgotten again."""
    import_module("csm_otel.commands.exec")  # which is loaded before the command is started
    before = set(sys.modules)
    # these are imported on their own where a run needs them
    late = ("csm_otel.commands.wiring", "csm_otel.engine.source", "csm_otel.report.waterfall")
    for name in ("csm_otel.commands.watch", *late):
        import_module(name)
    later = [name for name in sys.modules if name not in before and name.startswith("csm_otel.")]
    for name in later:
        package, _, module = name.rpartition(".")
        delattr(sys.modules[package], module)
    for name in later:
        del sys.modules[name]
    return later


def run(name: str, error: type[BaseException]) -> NoReturn:
    """Run the command in this process, and end it with the exit code."""
    for module in [module for module in sys.modules if module == name or module.startswith(f"{name}.")]:
        del sys.modules[module]
    sys.meta_path.insert(0, Refusal(name, error))
    os._exit(main(sys.argv[1:]))


def result_of(name: str, error: type[BaseException]) -> tuple[int, str]:
    """Return exit code and stderr of a run in which a module cannot be loaded."""
    with tempfile.TemporaryFile() as stderr:
        pid = os.fork()
        if not pid:
            os.dup2(stderr.fileno(), 2)
            run(name, error)
        _, status = os.waitpid(pid, 0)
        stderr.seek(0)
        return os.waitstatus_to_exitcode(status), stderr.read().decode()


names = [*loaded_later(), *OTHERS]
results = []
for number, refused in enumerate(names):
    kind = ERRORS[number % len(ERRORS)]
    code, text = result_of(refused, kind)
    results.append([refused, kind.__name__, code, text])
print(json.dumps(results))
