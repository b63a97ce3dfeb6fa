"""What may import what: imports only point up the pipeline, and a command starts before anything heavy is loaded."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import csm_otel

PACKAGE = Path(csm_otel.__file__).parent

# From the inside out; a module imports from its own layer and those before it. Folders stand for all that is in them.
LAYERS = {
    "core": "__init__ errors events account dialects redaction wire decoding times observed matching evidence chains "
    "pending assignment group correlator traceparent tally snapshot allowed measures spans endings origin_hold ids "
    "recording replayed_origins quotation",
    "edges": "binding child command_name flags head_decision port_owner repeats procfs speaker stop waker line_file "
    "write_queue interruptible clients sd_notify control_socket crash",
    "sockets and destinations": "receiver process_ends departures glances origin export report recorder health",
    "settings": "settings standard configuration",
    "loop": "exporter pipeline agent flushing control heartbeat",
    "wiring": "source outlets wiring",
    "commands": "serve watch exec replay flush",
    "command line": "cli __main__",
}
CORE_NEEDS = {"msgspec", "opentelemetry.semconv"}
# As pyproject.toml has it for ruff, which sees no further than the file it reads.
NOT_IN_THE_CORE = {"time", "socket", "threading", "logging", "os", "subprocess", "signal", "selectors"}
_BEFORE_THE_COMMAND = """
import json, sys
before = set(sys.modules)
import csm_otel.commands.cli, csm_otel.commands.exec
def start(argv, environ):
    print(json.dumps(sorted(set(sys.modules) - before)))
    sys.stdout.flush()
    import os
    os._exit(0)
csm_otel.commands.exec.Child.start = start
csm_otel.commands.cli.main(sys.argv[1:])
"""


def modules() -> dict[str, ast.Module]:
    """Return every module of the package, parsed, by its name below the package."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): ast.parse(path.read_text("utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def imports_of(tree: ast.AST) -> set[str]:
    """Return the full names of what is imported at run time, anywhere in a module."""
    names: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide where they point"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        else:
            names |= imports_of(node)
    return names


def ours(names: set[str], known: set[str]) -> set[str]:
    """Return the modules of ours among imported names, below the package."""
    found = set()
    for name in names:
        if name == "csm_otel" or name.startswith("csm_otel."):
            below = name.removeprefix("csm_otel").removeprefix(".")
            parts = below.split(".")
            candidates = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
            inits = [f"{candidate}.__init__" for candidate in candidates]
            found.add(next((one for one in (*candidates, *inits) if one in known), "__init__"))
    return found


def layer_of(module: str) -> int:
    """Return the layer of a module, counted from the inside."""
    numbers = [number for number, members in enumerate(LAYERS.values()) if module.partition(".")[0] in members.split()]
    assert numbers, f"csm_otel.{module} is in no layer: say where it belongs"
    return numbers[0]


MODULES = modules()
with_each_module = pytest.mark.parametrize("module", [pytest.param(module, id=module) for module in MODULES])


@with_each_module
def test_imports_point_inwards(module: str) -> None:
    """A module imports from its own layer and from those further in, so that the core never sees the shell."""
    imported = ours(imports_of(MODULES[module]), set(MODULES))

    assert not {other for other in imported if layer_of(other) > layer_of(module)}


def test_there_are_no_cycles() -> None:
    """No module imports itself by way of others, not even at a later moment."""
    graph = {module: ours(imports_of(tree), set(MODULES)) - {module} for module, tree in MODULES.items()}

    assert set(MODULES) == set(TopologicalSorter(graph).static_order())


def test_layers_are_of_this_package() -> None:
    """The table names no module that is not there, and none twice."""
    members = [member for layer in LAYERS.values() for member in layer.split()]

    assert sorted({module.partition(".")[0] for module in MODULES}) == sorted(members)


@pytest.mark.parametrize("module", [pytest.param(one, id=one) for one in MODULES if layer_of(one) == 0])
def test_the_core_is_pure(module: str) -> None:
    """The core imports nothing that does I/O, tells the time or logs, and of other packages only two."""
    foreign = {name for name in imports_of(MODULES[module]) if name.partition(".")[0] != "csm_otel"}
    standard = {name.partition(".")[0] for name in foreign} & set(sys.stdlib_module_names)
    others = {name for name in foreign if name.partition(".")[0] not in sys.stdlib_module_names}

    assert not standard & NOT_IN_THE_CORE
    assert not {name for name in others if not any(name.startswith(f"{need}.") or name == need for need in CORE_NEEDS)}


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["exec", "--", "true"], id="plain"),
        pytest.param(["exec", "--name", "n", "--file", "f", "--grace-seconds", "1", "true"], id="with-flags"),
    ],
)
def test_the_command_does_not_wait(words: list[str]) -> None:
    """When the command of exec is started, nothing but the standard library and a few small modules is loaded."""
    done = subprocess.run(
        [sys.executable, "-c", _BEFORE_THE_COMMAND, *words], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")

    loaded = json.loads(done.stdout)
    top_level = {name.partition(".")[0] for name in loaded}
    assert top_level - set(sys.stdlib_module_names) == {"csm_otel"}
    assert "csm_otel.commands.exec" in loaded
    assert "csm_otel.commands.watch" not in loaded
