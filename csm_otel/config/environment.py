"""Flags and the environment of this process in, the values of both declarations out, each read once.

A value that cannot be used does not end the reading: its default takes its place, and its fault is kept beside it.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from csm_otel.ci.system import CallingJob, system_of
from csm_otel.config.setting import Unusable
from csm_otel.config.settings import SETTINGS, Settings
from csm_otel.config.standard import VARIABLES, StandardVariables

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from csm_otel.ci.pipelines import PipelineRun
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
    pipeline_run: PipelineRun | None = None
    """The CI pipeline that this process is part of; None: it is in none, or this is not to be exported."""


def read_settings(flags: Mapping[str, Any]) -> tuple[Settings, tuple[Fault, ...]]:
    """Return our own settings, and the faults among them; ``flags`` win over variables, None is a flag not given."""
    given = {field: value for field, value in flags.items() if value is not None and field in SETTINGS}
    # The variable of a flag is not even read.
    others = [setting for field, setting in SETTINGS.items() if field not in given]
    found = {field: SETTINGS[field].read(value) for field, value in given.items()} | values_of(others)
    values, faults = _usable(found, SETTINGS, by_flag=given.keys())
    return Settings(**values), tuple(faults.values())


def read_environment(flags: Mapping[str, Any]) -> Given:
    """Return the values of flags and environment."""
    settings, setting_faults = read_settings(flags)
    # As by `values_of`, without its import: most runs have some of these set, and none of ours.
    found = {field: setting.read(text) for field, setting in VARIABLES.items() if (text := _text_of(setting))}
    values, variable_faults = _usable(found, VARIABLES)
    return Given(settings, StandardVariables(**values), setting_faults, variable_faults, _pipeline_run(settings))


def _pipeline_run(settings: Settings) -> PipelineRun | None:
    if not settings.pipeline or system_of(os.environ) is None:
        return None
    from csm_otel.ci.pipelines import pipeline_of  # ruff: ignore[import-outside-top-level] - not needed elsewhere

    return pipeline_of(os.environ, CallingJob(settings.check_run_id, settings.job_name, settings.step_name))


def remove_variables() -> None:
    """Remove from the environment what libraries in this process must not read (again).

    Those of CSM itself are among them: this process must not report its own calls.
    """
    for name in [name for name in os.environ if any(pattern.fullmatch(name) for pattern in _REMOVED)]:
        del os.environ[name]


def values_of(settings: Iterable[Setting]) -> dict[str, Any]:
    """Return the value of each variable that is set, by field; an empty one is not.

    The model has no other fields, and is not needed without any: pydantic takes 0.1 s and 20 MB.
    """
    fields = {setting.variable: setting for setting in settings if _text_of(setting)}
    if not fields:
        return {}
    from pydantic import PlainValidator, create_model  # ruff: ignore[import-outside-top-level]
    from pydantic_settings import BaseSettings  # ruff: ignore[import-outside-top-level]

    annotated: dict[str, Any] = {name: Annotated[Any, PlainValidator(one.read)] for name, one in fields.items()}
    model = create_model("Environment", __base__=BaseSettings, **annotated)
    return {fields[name].field: value for name, value in model(_case_sensitive=True)}


def _text_of(setting: Setting) -> str:
    return os.environ.get(setting.variable, "")


def _usable(
    found: Mapping[str, Any], declared: Mapping[str, Setting], *, by_flag: Container[str] = ()
) -> tuple[dict[str, Any], dict[str, Fault]]:
    """Return a value for each field, the default where none was found, and the faults of those that cannot be used."""
    values = {field: found.get(field, setting.default) for field, setting in declared.items()}
    faults = {
        field: declared[field].fault(value, by_flag=field in by_flag)
        for field, value in values.items()
        if isinstance(value, Unusable)
    }
    return values | {field: declared[field].default for field in faults}, faults
