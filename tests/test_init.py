"""The public names of the package: available to programs and type checkers, and loaded on first use."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import csm_otel

_LOADED = """
import json, sys
before = set(sys.modules)
import csm_otel
dir(csm_otel)
print(json.dumps(sorted(set(sys.modules) - before)))
"""
_ALL_LOADED = _LOADED.replace("dir(csm_otel)", "from csm_otel import *")


def test_importing_the_package_loads_nothing_else() -> None:
    """Neither the core nor any other package is imported before a name is used, as exec must start at once."""
    done = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True)

    assert json.loads(done.stdout) in (["csm_otel"], ["__future__", "csm_otel"])


def test_the_library_is_the_core() -> None:
    """All public names together load the pure rooms, msgspec and the semantic conventions, and nothing else."""
    done = subprocess.run([sys.executable, "-c", _ALL_LOADED], capture_output=True, text=True, check=True)

    loaded = json.loads(done.stdout)
    rooms = {name.split(".")[1] for name in loaded if name.startswith("csm_otel.")}
    others = {name for name in loaded if name.split(".")[0] not in {*sys.stdlib_module_names, "csm_otel", "msgspec"}}
    assert rooms == {"csm", "correlation", "spans", "errors"}
    assert {name for name in others if not name.startswith("opentelemetry.semconv.")} <= {
        "opentelemetry",
        "opentelemetry.semconv",
        "typing_extensions",  # needed by the conventions
    }
    assert not {"socket", "threading", "logging", "asyncio"} & set(loaded)


@pytest.mark.parametrize("name", csm_otel.__all__)
def test_each_public_name_is_that_of_its_module(name: str) -> None:
    """A public name is the object of that name in the module that defines it, also on its second use."""
    value = getattr(csm_otel, name)

    assert value.__name__ == name
    assert value is getattr(sys.modules[value.__module__], name)
    assert value is getattr(csm_otel, name)


def test_public_names_are_documented_objects() -> None:
    """Each public name has a docstring, and `dir` lists it."""
    assert [name for name in csm_otel.__all__ if not getattr(csm_otel, name).__doc__] == []
    assert set(csm_otel.__all__) <= set(dir(csm_otel))


def test_type_checkers_see_the_same_names() -> None:
    """The imports for type checkers, `__all__` and the names importable at run time are the same."""
    tree = ast.parse(Path(csm_otel.__file__).read_text("utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    for_checkers = {
        (statement.module, alias.name)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }

    assert for_checkers == {(module, name) for module, names in csm_otel._MODULES.items() for name in names}
    assert sorted(name for _, name in for_checkers) == csm_otel.__all__


def test_unknown_names() -> None:
    """An unknown name raises the usual error, so that `hasattr` works."""
    with pytest.raises(AttributeError, match=r"^module 'csm_otel' has no attribute 'Pipeline'$"):
        _ = csm_otel.Pipeline  # type: ignore[attr-defined]
    assert not hasattr(csm_otel, "agent")
