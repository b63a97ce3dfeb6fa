"""Flags and the environment of this process in, the values of both declarations out, each read once.

A value that cannot be used does not end the reading: its default takes its place, and its fault is kept beside it.
"""

from __future__ import annotations

import os
import re
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import PlainValidator, create_model
from pydantic_settings import BaseSettings, SettingsConfigDict

from csm_otel.config.setting import Unusable
from csm_otel.config.settings import PREFIX as OUR_PREFIX
from csm_otel.config.settings import SETTINGS, Settings
from csm_otel.config.standard import PREFIX as STANDARD_PREFIX
from csm_otel.config.standard import VARIABLES, StandardVariables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from csm_otel.config.setting import Setting
    from csm_otel.errors import Fault

# The SDK would read these again: limits when imported, failing on what is not a number; attributes with each resource.
_READ_BY_THE_SDK = re.compile(r"OTEL_(?:ATTRIBUTE|SPAN|EVENT|LINK)_\w*LIMIT|OTEL_RESOURCE_ATTRIBUTES|OTEL_SERVICE_NAME")
_READ_BY_AWS_SDKS = re.compile(r"AWS_CSM_\w+")
# With a value for an older version of protobuf, as old scripts need it, ours fails to load.
_READ_BY_PROTOBUF = re.compile(r"PROTOCOL_BUFFERS_PYTHON_\w+")
_REMOVED = (_READ_BY_THE_SDK, _READ_BY_AWS_SDKS, _READ_BY_PROTOBUF)


class Given(NamedTuple):
    """The values of flags and environment."""

    settings: Settings = Settings()
    variables: StandardVariables = StandardVariables()
    setting_faults: tuple[Fault, ...] = ()
    variable_faults: Mapping[str, Fault] = {}
    """By field of `StandardVariables`: only those of variables in use matter."""


def read_settings(flags: Mapping[str, Any]) -> tuple[Settings, tuple[Fault, ...]]:
    """Return our own settings, and the faults among them; ``flags`` win over variables, None is a flag not given."""
    given = {field: value for field, value in flags.items() if value is not None and field in SETTINGS}
    values, faults = _read(OUR_PREFIX, given)
    return Settings(**values), tuple(faults.values())


def read_environment(flags: Mapping[str, Any]) -> Given:
    """Return the values of flags and environment."""
    settings, setting_faults = read_settings(flags)
    values, variable_faults = _read(STANDARD_PREFIX, {})
    return Given(settings, StandardVariables(**values), setting_faults, variable_faults)


def remove_variables() -> None:
    """Remove from the environment what libraries in this process must not read (again).

    Those of CSM itself are among them: this process must not report its own calls.
    """
    for name in [name for name in os.environ if any(pattern.fullmatch(name) for pattern in _REMOVED)]:
        del os.environ[name]


_DECLARED = {OUR_PREFIX: SETTINGS, STANDARD_PREFIX: VARIABLES}


def _read(prefix: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Fault]]:
    declared = _DECLARED[prefix]
    found = dict(_model(prefix)(**{declared[field].variable: value for field, value in given.items()}))
    values = {field: found[setting.variable] for field, setting in declared.items()}
    faults = {
        field: declared[field].fault(value, by_flag=field in given)
        for field, value in values.items()
        if isinstance(value, Unusable)
    }
    return values | {field: declared[field].default for field in faults}, faults


@cache
def _model(prefix: str) -> type[BaseSettings]:
    """Return the model of all variables with a prefix, whose values are read as they are declared."""

    class Environment(BaseSettings):
        model_config = SettingsConfigDict(
            case_sensitive=True, env_ignore_empty=True, frozen=True, extra="ignore", validate_default=False
        )

    fields = {setting.variable: _field(setting) for setting in _DECLARED[prefix].values()}
    return create_model(f"{prefix}Environment", __base__=Environment, **fields)


def _field(setting: Setting) -> Any:
    return Annotated[Any, PlainValidator(setting.read)], setting.default
