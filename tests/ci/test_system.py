"""Which CI system it is."""

from __future__ import annotations

import pytest

from csm_otel.ci.system import GITHUB, JENKINS, system_of


@pytest.mark.parametrize(
    ("environ", "system"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"CI": "true"}, None, id="unknown"),
        pytest.param({"GITHUB_ACTIONS": ""}, None, id="empty"),
        pytest.param({"GITHUB_ACTIONS": "false"}, None, id="false"),
        pytest.param({"GITHUB_ACTIONS": "true"}, GITHUB, id="github"),
        pytest.param({"JENKINS_URL": "https://ci.example/"}, JENKINS, id="jenkins"),
    ],
)
def test_system_of(environ: dict[str, str], system: str | None) -> None:
    """A system is known by a variable that only it sets."""
    assert system_of(environ) == system
