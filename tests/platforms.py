"""Which system the tests run on: Linux, or Linux without its extensions, like macOS (`make test-portable`)."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

IS_MADE_POOR = "as_on_macos" in os.environ.get("PYTHONPATH", "")
ON_LINUX = sys.platform == "linux" and not IS_MADE_POOR


def on_linux(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test of Linux only: /proc, the kernel's timestamps and drop counts, sigwaitinfo."""
    skip = pytest.mark.skipif(not ON_LINUX, reason="only Linux has it")
    may_skip = pytest.mark.may_skip("elsewhere there is nothing to test")
    marked: Callable[..., None] = may_skip(skip(test))
    return marked
