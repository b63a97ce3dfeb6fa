"""Flags and variables, ours and the standard ones, read together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from csm_otel.config.settings import Settings, read_settings
from csm_otel.config.standard import (
    StandardVariables,
    destination_of,
    exporters_of,
    exports_metrics,
    metric_preferences_of,
    prepare_limits,
    read_standard_variables,
    resource_attributes_of,
)
from csm_otel.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")


class Configuration(NamedTuple):
    """What the operator asks for."""

    settings: Settings
    variables: StandardVariables


def forget_csm_variables() -> None:
    """Take CSM's own variables out of the environment: whatever this process loads, it must not report to itself."""
    for name in [name for name in os.environ if name.startswith("AWS_CSM_")]:
        del os.environ[name]


def read_configuration(flags: Mapping[str, Any], *, exporters: Sequence[str]) -> Configuration:
    """Return the configuration of this process; ``exporters`` are those in use where none is asked for.

    Raises:
        SettingsError: a line for each flag or variable that cannot be used.
    """
    faults: list[str] = []
    configuration = read_usable_configuration(flags, faults=faults)
    faults += _faults_in(configuration.variables, exporters)
    if faults:
        raise SettingsError(faults)
    return configuration


def variable_faults(subcommand: str, flags: Mapping[str, Any]) -> Sequence[str]:
    """Return a line for each variable that ``serve``, ``replay`` or ``flush`` cannot use, beside ``flags``."""
    try:
        if subcommand == "flush":
            read_settings(flags)
        else:
            read_configuration(flags, exporters=["otlp"] if subcommand == "serve" else ["console"])
    except SettingsError as error:
        return error.faults
    return ()


def _faults_in(variables: StandardVariables, exporters: Sequence[str]) -> list[str]:
    """Return a line for each text that has to be read further and cannot be."""
    if variables.sdk_disabled:
        return []
    faults: list[str] = []

    def looked_at(read: Callable[[StandardVariables], T]) -> T | None:
        try:
            return read(variables)
        except SettingsError as error:
            faults.extend(fault for fault in error.faults if fault not in faults)
            return None

    asked = looked_at(exporters_of)
    if "otlp" in (exporters if asked is None else asked):
        looked_at(lambda given: destination_of(given, warn=[]))
    if looked_at(exports_metrics):
        looked_at(lambda given: destination_of(given, warn=[], signal="metrics"))
        looked_at(metric_preferences_of)
    looked_at(resource_attributes_of)
    return faults


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
