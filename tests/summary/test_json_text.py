"""Values as JSON, with texts that UTF-8 cannot encode."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.summary.json_text import json_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping


class Named(msgspec.Struct, omit_defaults=True):
    """A struct with a text."""

    name: str
    more: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"a": [1, "é"]}, {"a": [1, "é"]}, id="usual"),
        pytest.param("a\udcffb", "a?b", id="text"),
        pytest.param({"\udcff": ["\udcff", None, 1.5]}, {"?": ["?", None, 1.5]}, id="nested"),
        pytest.param(Named("\udcff", ("b",)), {"name": "?", "more": ["b"]}, id="struct"),
        pytest.param(Named("\udcff"), {"name": "?"}, id="defaults"),
    ],
)
def test_values(value: object, expected: object) -> None:
    """What cannot be encoded is a question mark; everything else stays."""
    assert json.loads(json_bytes(value)) == expected


@given(st.dictionaries(st.text(max_size=3), st.lists(st.text(max_size=3), max_size=2), max_size=3))
def test_any_text(value: Mapping[str, list[str]]) -> None:
    """Any text can be written."""
    assert isinstance(json.loads(json_bytes(value)), dict)
