"""Which module may import which, and where its tests are.

Imports only point up the pipeline, a command starts before anything heavy is loaded, and tests/ mirrors the package.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import csm_otel
from csm_otel.ci.system import MARKERS

PACKAGE = Path(csm_otel.__file__).parent

# In order: a module imports from its own room and from those before it. docs/architecture.md describes them.
ROOMS = (
    "csm", "correlation", "spans", "summary", "verdict", "report", "ci",
    "process", "intake", "files", "delivery", "config", "engine", "service", "doctor", "commands",
)  # fmt: skip
CORE = {"csm", "correlation", "spans", "summary", "verdict", "report", "ci"}
BEFORE_ALL_ROOMS = {"__init__", "errors", "tally"}
CORE_NEEDS = {"msgspec", "opentelemetry.semconv"}
# What one module alone needs; it is imported when a page is written.
NEEDED_BY = {"report.page": {"jinja2", "markupsafe"}}
# The same list as in pyproject.toml for ruff, which checks one file at a time.
NOT_IN_THE_CORE = {"time", "socket", "threading", "logging", "os", "subprocess", "signal", "selectors"}
# The one module of the core that writes to a stream.
WRITES = "report.stdout"
TESTS = Path(__file__).parent
# Folders of tests/ that test the whole program, its environment or its benchmarks instead of a module each.
NO_ROOMS = {"bench", "conformance", "e2e", "faults", "interop"}
# Test modules at the top level without a module: examples/, documents, a failing network, what is built and installed.
OF_NO_MODULE = {
    "test_action",
    "test_architecture",
    "test_build_hook",
    "test_demo",
    "test_documents",
    "test_exported_attributes",
    "test_faultproxy",
    "test_faulty_proxy",
    "test_launcher",
    "test_library",
    "test_release",
    "test_monitoring",
}
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
_WHILE_RUNNING = """
import json, os, sys
import csm_otel.commands.cli
from csm_otel.engine.bridge import Bridge
def run(self, **given):
    print(json.dumps(sorted(sys.modules)))
    sys.stdout.flush()
    os._exit(0)
Bridge.run = run
csm_otel.commands.cli.main(sys.argv[1:])
"""
# What each run does without takes tens of milliseconds or megabytes.
_OF_OUR_VARIABLES = {"pydantic", "pydantic_settings"}
_OF_PIPELINES = {"csm_otel.ci.joining", "csm_otel.ci.pipelines"}
_OF_FILES = {"sqlite3", "google.protobuf.json_format", "csm_otel.files.recorder", "csm_otel.delivery.tee"}
_OF_HTTP, _OF_GRPC = {"requests", "urllib3"}, {"grpc"}
_OF_METRICS = {"opentelemetry.sdk.metrics", "opentelemetry.exporter", "prometheus_client", "csm_otel.service.scrapes"}
_OF_WATERFALLS = {"csm_otel.report.waterfall", "csm_otel.report.trace_buffer"}
_OF_REPORTS = {"jinja2", "csm_otel.summary.builder", "csm_otel.summary.calls", "csm_otel.report.screen"}
_OF_UNUSUAL_SPANS = {"google.protobuf", "opentelemetry.sdk.trace", "opentelemetry.trace"}
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def modules() -> dict[str, ast.Module]:
    """Parse every module of the package, by its name below the package."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): ast.parse(path.read_text("utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def imports_of(tree: ast.AST, *, for_types: bool = True) -> set[str]:
    """Return the full names of all imports in a module, with or without those for type checkers only."""
    names: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not for_types:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide where they point"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        else:
            names |= imports_of(node, for_types=for_types)
    return names


def ours(names: set[str], known: set[str]) -> set[str]:
    """Return our modules among imported names, below the package."""
    found = set()
    for name in names:
        if name == "csm_otel" or name.startswith("csm_otel."):
            below = name.removeprefix("csm_otel").removeprefix(".")
            parts = below.split(".")
            candidates = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
            inits = [f"{candidate}.__init__" for candidate in candidates]
            found.add(next((one for one in (*candidates, *inits) if one in known), "__init__"))
    return found


def room_of(module: str) -> str:
    """Return the room of a module, "" at the top level."""
    room, dot, _ = module.partition(".")
    return room if dot else ""


def place_of(module: str) -> int:
    """Return the number of rooms before a module's own."""
    if room := room_of(module):
        assert room in ROOMS, f"csm_otel/{room}/ is no room: say where it stands"
        return ROOMS.index(room)
    if module in BEFORE_ALL_ROOMS:
        return -1
    assert module == "__main__", f"csm_otel/{module}.py belongs into a room"
    return len(ROOMS)


MODULES = modules()
with_each_module = pytest.mark.parametrize("module", [pytest.param(module, id=module) for module in MODULES])


@with_each_module
def test_imports_point_one_way(module: str) -> None:
    """A module imports from its own room and from those before it, so that the core never sees the shell."""
    # The package's public names, which type checkers see, are imported on first use.
    for_types = module != "__init__"
    imported = ours(imports_of(MODULES[module], for_types=for_types), set(MODULES))

    assert not {other for other in imported if place_of(other) > place_of(module)}


def test_there_are_no_cycles() -> None:
    """No module imports itself by way of others, not even inside a function."""
    graph = {
        module: ours(imports_of(tree, for_types=False), set(MODULES)) - {module} for module, tree in MODULES.items()
    }

    assert set(MODULES) == set(TopologicalSorter(graph).static_order())


def test_rooms_are_those_of_the_package() -> None:
    """Each room is a folder, and each folder a room."""
    assert sorted(ROOMS) == sorted(path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name[0] != "_")


def test_rooms_are_documented() -> None:
    """The table in docs/architecture.md lists the rooms in the order of their imports."""
    document = (PACKAGE.parent / "docs/architecture.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^## Rooms$.*?^(\|.*?)^$", document, re.MULTILINE | re.DOTALL)

    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(ROOMS)


def test_rooms_are_empty_but_for_their_modules() -> None:
    """Importing one module of a room loads no other: exec starts its command before anything heavy is loaded."""
    assert not [module for module, tree in MODULES.items() if module.endswith(".__init__") and tree.body]


@pytest.mark.parametrize(
    "module",
    [pytest.param(one, id=one) for one in MODULES if room_of(one) in CORE or one in BEFORE_ALL_ROOMS],
)
def test_the_core_is_pure(module: str) -> None:
    """The core imports nothing that does I/O, reads a clock or logs, and few third-party packages."""
    foreign = {name for name in imports_of(MODULES[module]) if name.partition(".")[0] != "csm_otel"}
    standard = {name.partition(".")[0] for name in foreign} & set(sys.stdlib_module_names)
    others = {name for name in foreign if name.partition(".")[0] not in sys.stdlib_module_names}

    assert not standard & (NOT_IN_THE_CORE if module == WRITES else {*NOT_IN_THE_CORE, "sys", "io"})
    needs = CORE_NEEDS | NEEDED_BY.get(module, set())
    assert not {name for name in others if not any(name.startswith(f"{need}.") or name == need for need in needs)}


@pytest.mark.parametrize("room", sorted(CORE))
def test_lint_bans_the_same(room: str) -> None:
    """Ruff's ban holds in each room of the core."""
    ruff = [sys.executable, "-m", "ruff", "check", "--select", "banned-api", "--stdin-filename"]
    done = subprocess.run(
        [*ruff, PACKAGE / room / "new.py", "-"],
        input="".join(f"import {name}\n" for name in sorted(NOT_IN_THE_CORE)),
        capture_output=True, text=True, check=False, cwd=PACKAGE.parent,
    )  # fmt: skip

    assert {name for name in NOT_IN_THE_CORE if f"`{name}` is banned" in done.stdout} == NOT_IN_THE_CORE


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["exec", "--", "true"], id="plain"),
        pytest.param(["exec", "--name", "n", "--file", "f", "--grace-seconds", "1", "true"], id="with-flags"),
        pytest.param(["exec", "--join", "github", "--check-run-id", "1", "true"], id="in-a-ci-run"),
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
    assert ("csm_otel.ci.joining" in loaded) == ("--join" in words)
    take_milliseconds = {"ctypes", "locale", "logging", "shutil", "stringprep", "subprocess", "traceback"}
    assert not {*loaded} & take_milliseconds


@pytest.mark.parametrize(
    ("words", "variables", "unused"),
    [
        pytest.param(["exec", "true"], {}, _OF_OUR_VARIABLES | _OF_HTTP | _OF_GRPC, id="exec"),
        pytest.param(
            ["exec", "true"],
            {_ENDPOINT: "http://127.0.0.1:1"},
            _OF_OUR_VARIABLES | _OF_GRPC | _OF_WATERFALLS,
            id="exec-with-endpoint",
        ),
        pytest.param(
            ["serve", "--port", "0", "--control", "none"], {}, _OF_OUR_VARIABLES | _OF_GRPC | _OF_WATERFALLS, id="serve"
        ),
        pytest.param(
            ["serve", "--port", "0", "--control", "none"],
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            _OF_OUR_VARIABLES | _OF_HTTP | _OF_WATERFALLS,
            id="serve-over-grpc",
        ),
    ],
)
def test_nothing_unused_is_loaded(words: list[str], variables: dict[str, str], unused: set[str]) -> None:
    """When the loop begins, the libraries of what is not asked for are not loaded."""
    others = ("OTEL_", "CSM_OTEL_", *MARKERS)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    done = subprocess.run(
        [sys.executable, "-c", _WHILE_RUNNING, *words],
        env=environ | variables, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

    loaded = set(json.loads(done.stdout))
    assert "csm_otel.engine.agent" in loaded
    assert not loaded & (unused | _OF_METRICS | _OF_PIPELINES | _OF_FILES | _OF_REPORTS | _OF_UNUSUAL_SPANS)


def mirror_of(module: str) -> str:
    """Return the name of the test module of a module: tests/ROOM/test_NAME.py."""
    *room, name = module.split(".")
    return ".".join([*room, f"test_{name.strip('_')}"])


def mirrors() -> set[str]:
    """Return the names of all test modules that must have a module."""
    paths = {path.relative_to(TESTS).with_suffix("") for path in TESTS.rglob("test_*.py")}
    return {".".join(path.parts) for path in paths if path.parts[0] not in NO_ROOMS | OF_NO_MODULE}


TESTED = [module for module in MODULES if not module.endswith(".__init__")]


@pytest.mark.parametrize("module", [pytest.param(module, id=module) for module in TESTED])
def test_each_module_has_its_test_module(module: str) -> None:
    """A module's tests are found by its name."""
    assert mirror_of(module) in mirrors()


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in sorted(mirrors())])
def test_each_test_module_has_its_module(name: str) -> None:
    """A test module belongs to an existing module; words after the module's name say which of its tests they are."""
    of_a_module = {mirror_of(module) for module in TESTED}

    assert any(name == one or name.startswith(f"{one}_") for one in of_a_module)
