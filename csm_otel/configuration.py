"""Flags and variables, ours and the standard ones, read together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from csm_otel.errors import SettingsError
from csm_otel.settings import Settings, read_settings
from csm_otel.standard import StandardVariables, prepare_limits, read_standard_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")


class Configuration(NamedTuple):
    """What the operator asks for."""

    settings: Settings
    variables: StandardVariables


def forget_csm_variables() -> None:
    """Take CSM's own variables out of the environment: whatever this process loads, it must not report to itself."""
    for name in [name for name in os.environ if name.startswith("AWS_CSM_")]:
        del os.environ[name]


def read_configuration(flags: Mapping[str, Any]) -> Configuration:
    """Return the configuration of this process.

    Raises:
        SettingsError: a line for each flag or variable that cannot be used.
    """
    faults: list[str] = []
    configuration = read_usable_configuration(flags, faults=faults)
    if faults:
        raise SettingsError(faults)
    return configuration


def read_usable_configuration(flags: Mapping[str, Any], *, faults: list[str]) -> Configuration:
    """Return the configuration without what cannot be used; a line for each such variable is added to ``faults``.

    The environment of this process loses them.
    """
    prepare_limits(os.environ, faults=faults)
    settings = _without_faults(lambda: read_settings(flags), faults)
    return Configuration(settings, _without_faults(read_standard_variables, faults))


def _without_faults(read: Callable[[], T], faults: list[str]) -> T:
    try:
        return read()
    except SettingsError as error:
        faults += error.faults
        for fault in error.faults:
            os.environ.pop(fault.partition(":")[0], None)
        return read()
