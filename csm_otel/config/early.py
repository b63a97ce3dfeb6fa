"""The few settings that `exec` needs before its command is started, and those of probes. Standard library only.

They are read as they are declared. What `Early` cannot use is replaced by its default here, and reported when the
configuration is read as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from csm_otel.ci.system import CallingJob
from csm_otel.config.setting import Unusable
from csm_otel.config.settings import SETTINGS, Settings
from csm_otel.config.standard import VARIABLES, XRAY, service_name_of
from csm_otel.delivery.sampler_choice import SamplerChoice, choose_sampler
from csm_otel.errors import collecting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from csm_otel.errors import Fault


class Early(NamedTuple):
    """What is known before the command is started."""

    is_quiet: bool
    name: str
    """Of the application, as asked for by flag or variable of ours; empty: not asked for."""
    service_name: str
    """Of the application, as the standard variables have it."""
    receive_buffer_bytes: int
    is_disabled: bool
    """Whether the command is to run untraced (``OTEL_SDK_DISABLED``)."""
    propagators: tuple[str, ...]
    """The formats in which trace contexts are read from and written to the environment, and others."""
    xray_trace_ids: bool
    """Whether a new trace id begins with its time."""
    sampler: SamplerChoice
    join: str = "none"
    """Which trace of a CI run to join (`csm_otel.ci.joining`)."""
    job: CallingJob = CallingJob()


def read_early(flags: Mapping[str, object], environ: Mapping[str, str]) -> Early:
    """Return the early settings; a flag wins over its variable."""

    def ours(field: str) -> Any:
        value = flags.get(field)
        return SETTINGS[field].value_in(environ) if value is None else value

    def standard(field: str) -> Any:
        return VARIABLES[field].value_in(environ)

    sampler = SamplerChoice()
    with collecting([]):
        sampler = choose_sampler(standard("traces_sampler"), standard("traces_sampler_arg"))
    return Early(
        is_quiet=ours("quiet"),
        name=ours("name"),
        service_name=service_name_of(standard("service_name"), standard("resource_attributes")),
        receive_buffer_bytes=ours("receive_buffer_bytes"),
        is_disabled=standard("sdk_disabled"),
        propagators=standard("propagators"),
        xray_trace_ids=standard("python_id_generator") == XRAY,
        sampler=sampler,
        join=ours("join"),
        job=CallingJob(*map(ours, CallingJob._fields)),
    )


def read_settings_of(
    command: str, flags: Mapping[str, object], environ: Mapping[str, str]
) -> tuple[Settings, list[Fault]]:
    """Return the settings of one command, and the faults among them; a flag wins over its variable."""
    values: dict[str, Any] = {}
    faults = []
    for field, setting in SETTINGS.items():
        if setting.option is None or command not in setting.option.commands:
            continue
        value = flags.get(field)
        if value is None and (text := environ.get(setting.variable)):
            value = setting.read(text)
        if isinstance(value, Unusable):
            faults.append(setting.fault(value))
        elif value is not None:
            values[field] = value
    return Settings(**values), faults
