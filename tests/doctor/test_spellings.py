"""Values of AWS_CSM_ENABLED, as each SDK reads them."""

from __future__ import annotations

import pytest

from csm_otel.doctor.spellings import enabled_and_not, enabled_by_key


@pytest.mark.parametrize(
    ("text", "enabled", "disabled"),
    [
        pytest.param("true", 8, 0, id="true"),
        pytest.param("True", 8, 0, id="True"),
        pytest.param("false", 0, 8, id="false"),
        pytest.param("FALSE", 0, 8, id="FALSE"),
        pytest.param("", 0, 8, id="empty"),
        pytest.param("1", ["JavaScript", "Go", "Ruby", "PHP"], 4, id="one"),
        pytest.param("yes", ["JavaScript", "Ruby", "PHP"], 5, id="yes"),
        pytest.param("no", ["JavaScript", "Ruby"], 6, id="no"),
        pytest.param("0", ["Ruby"], 7, id="zero"),
        pytest.param("t", ["JavaScript", "Go", "Ruby"], 5, id="t"),
    ],
)
def test_each_sdk(text: str, enabled: int | list[str], disabled: int) -> None:
    """Only true is read alike by all."""
    for_these, not_for_these = enabled_and_not(text)

    assert enabled == (for_these if isinstance(enabled, list) else len(for_these))
    assert disabled == len(not_for_these)


def test_of_some() -> None:
    """Only the SDKs that are asked about are named; for Ruby a key of a file enables CSM whatever it says."""
    assert enabled_and_not("1", ["Go", "Java"]) == (["Go"], ["Java"])
    assert enabled_by_key("false", ["Ruby", "Go"]) == (["Ruby"], ["Go"])
