"""Texts of Python scripts in, findings out."""

from __future__ import annotations

import pytest

from csm_otel.doctor.python_script import python_script_findings

_CHANGES = "the script changes AWS_CSM_ENABLED"
_STARTS = "the script starts a program with an environment of its own"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("", [], id="empty"),
        pytest.param("os.environ['AWS_CSM_ENABLED'] = 'false'", [_CHANGES], id="sets"),
        pytest.param('x = 1\nif x: os.environ["AWS_CSM_ENABLED"]=""', [_CHANGES], id="sets-on-a-later-line"),
        pytest.param("os.environ['AWS_CSM_ENABLED'] = 'true'", [], id="sets-true"),
        pytest.param("os.environ['AWS_CSM_ENABLED'] == 'false'", [], id="compares"),
        pytest.param("os.environ.pop('AWS_CSM_ENABLED', None)", [_CHANGES], id="pops"),
        pytest.param("del os.environ['AWS_CSM_ENABLED']", [_CHANGES], id="deletes"),
        pytest.param("os.environ.clear()", [_CHANGES], id="clears"),
        pytest.param("x = 1 # os.environ.clear()", [], id="comment"),
        pytest.param("print(os.environ.get('AWS_CSM_ENABLED'))", [], id="reads"),
        pytest.param("run(['aws'], env={})", [_STARTS], id="empty-environment"),
        pytest.param("run(['aws'],\n    env={\n        'HOME': '/'})", [_STARTS], id="own-environment"),
        pytest.param("run(['aws'], env={**os.environ, 'A': 'b'})", [], id="extended"),
        pytest.param("run(['aws'], env={\n    'A': 'b',\n    **os.environ,\n})", [], id="extended-last"),
        pytest.param("run(['aws'], env={k: v for k, v in os.environ.items() if v})", [], id="filtered"),
        pytest.param("run(['aws'], env=environment)", [], id="unknown"),
        pytest.param("os.environ.clear()\nrun([], env={})", [_CHANGES, _STARTS], id="both"),
    ],
)
def test_findings(text: str, found: list[str]) -> None:
    """What changes the variable is found, and a program started without it; reading it is not."""
    findings = python_script_findings(text)

    assert [one.what for one in findings] == found
    assert {one.code for one in findings} <= {"environment-lost"}
