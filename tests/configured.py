"""Configurations for tests: from temporarily set variables, or from settings alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from csm_otel.config.configuration import Configuration, configure
from csm_otel.config.environment import Given, read_environment
from csm_otel.config.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping


def given(variables: Mapping[str, str], *, flags: Mapping[str, Any] | None = None) -> Given:
    """Read the environment with only these variables set, without any other of `os.environ` that csm-otel knows."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.upper().startswith(("OTEL_", "CSM_OTEL_"))]:
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        return read_environment(flags or {})


def configured(command: str = "replay", **settings: Any) -> Configuration:
    """Return the configuration of a command without any variables; that of `replay` prints its spans."""
    configuration, faults = configure(command, Given(Settings(**settings)))
    assert not faults
    return configuration
