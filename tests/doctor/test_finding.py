"""Every finding is documented."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import csm_otel
from csm_otel.doctor.back_end import _OTHER, _REASONS
from csm_otel.doctor.finding import Checked, Finding

PACKAGE = Path(csm_otel.__file__).parent
DOCUMENT = PACKAGE.parent / "docs/troubleshooting.md"


def codes() -> set[str]:
    """Return the codes of all findings in the code."""
    calls = [
        node
        for path in (PACKAGE / "doctor").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding"
    ]
    given = {call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)}
    return {str(code) for code in given} | {code for _, code, _ in _REASONS} | {_OTHER[0]}


def test_each_code_has_its_heading() -> None:
    """The document has a heading for each code, and no others."""
    headings = re.findall(r"^### (.+)$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(codes()) == sorted(headings)


def test_each_code_is_tested() -> None:
    """The tables of the tests have each code."""
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))

    assert [code for code in codes() if f'"{code}"' not in tests] == []


def test_codes_are_anchors() -> None:
    """They are in kebab case, as anchors of headings are."""
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code) for code in codes())


def test_nothing_found() -> None:
    """A check without findings has none."""
    assert Checked("a", "b").findings == ()
    assert Finding("a", "b", "c", "d").code == "a"
