"""Jaeger, for all tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from interop.install_jaeger import find_binary, missing_toolchain
from interop.jaeger import Jaeger, running_jaeger

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    """Run one Jaeger for the whole session; tests keep apart by trace id."""
    binary = find_binary()
    if binary is None:
        missing = missing_toolchain()
        pytest.skip(f"Jaeger needs {missing}" if missing else "Jaeger is not installed: make interop does it")
    with running_jaeger(binary, tmp_path_factory.mktemp("jaeger") / "log") as running:
        yield running
