"""The stand-in for AWS that the end-to-end tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from demo import moto_server

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture(scope="session")
def moto_port() -> Generator[int]:
    """Run one moto server for all tests."""
    with moto_server() as port:
        yield port
