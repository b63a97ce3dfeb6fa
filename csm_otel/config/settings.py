"""Every knob of ours, once: a flag, an environment variable ``CSM_OTEL_...``, a default.

A flag wins over its variable. `csm_otel.config.flags` has the command line's words for them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from csm_otel.config.flags import FLAG_OF_FIELD
from csm_otel.csm.times import TimestampMode
from csm_otel.errors import SettingsError, quoted
from csm_otel.intake.allowed import parse_networks
from csm_otel.intake.binding import DEFAULT_BUFFER_BYTES
from csm_otel.spans.options import MessageMode, TraceGrouping

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

ENV_PREFIX = "CSM_OTEL_"
_MIB = 1024 * 1024
_NO_NETWORK = "network"


class Settings(BaseSettings):
    """What an operator may set. Sizes are bytes, times are seconds."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_ignore_empty=True, frozen=True, extra="ignore")

    host: str = ""
    """Empty: 127.0.0.1 and, where IPv6 exists, ::1."""
    port: int = Field(default=31000, ge=0, le=65_535)
    allow_remote: bool = False
    allow_from: str = ""
    """Networks, separated by commas, that other hosts' datagrams are taken from; empty: any."""
    receive_buffer_bytes: int = Field(default=DEFAULT_BUFFER_BYTES, ge=4096, le=2**30)

    grace_seconds: float = Field(default=0.25, ge=0, le=60)
    attempt_wait_seconds: float = Field(default=900.0, ge=1, le=86_400)
    pending_events: int = Field(default=100_000, ge=1)
    pending_bytes: int = Field(default=64 * _MIB, ge=_MIB)
    timestamps: TimestampMode = TimestampMode.AUTO

    group: TraceGrouping = TraceGrouping.CALL

    messages: MessageMode = MessageMode.REDACTED
    account_id: bool = True
    user_agent: bool = False
    peer_service: bool = False
    trust_remote_context: bool = False

    file: Path | None = None
    record: Path | None = None
    """``-`` is stdout."""
    speed: float | None = Field(default=None, ge=0.001, le=1_000_000)
    """How many times as fast as it was recorded; None: as fast as it goes."""
    queue_bytes: int = Field(default=64 * _MIB, ge=_MIB)
    spool: Path | None = None
    """Folder where what waits for the back end is kept on disk; None: it waits in memory."""
    spool_bytes: int = Field(default=256 * _MIB, ge=_MIB)
    drain_seconds: float | None = Field(default=None, ge=0, le=3600)
    """None: as long as the command has by default."""

    control: Path | None = None
    """Of the daemon's socket; None: see `csm_otel.service.control_socket.default_paths`; ``none``: there is none."""
    timeout: float = Field(default=10.0, ge=0, le=3600)
    """Of `flush`, in seconds."""
    health: int | None = Field(default=None, ge=0, le=65_535)
    """Port of 127.0.0.1 for probes; None: there is none."""
    report_seconds: float = Field(default=60.0, ge=0, le=86_400)
    """0: no report."""

    name: str = ""
    quiet: bool = False
    output: Path | None = None
    command_args: bool = False

    @field_validator("allow_from")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        try:
            parse_networks(value)
        except ValueError as error:
            raise PydanticCustomError(_NO_NETWORK, "{reason}", {"reason": str(error)}) from error
        return value


def read_settings(flags: Mapping[str, Any]) -> Settings:
    """Return the settings of the environment, overridden by ``flags`` (names of fields to values, None: not given).

    Raises:
        SettingsError: a line for each value that cannot be used, with the flag's or variable's name.
    """
    given = {name: value for name, value in flags.items() if value is not None and name in Settings.model_fields}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError([_fault(fault, given) for fault in error.errors()]) from error


def _fault(fault: ErrorDetails, given: Mapping[str, Any]) -> str:
    """Return one in our own words: pydantic's are for who writes models."""
    flag = FLAG_OF_FIELD[str(fault["loc"][0])]
    name = flag.name if flag.field in given else f"{ENV_PREFIX}{flag.field.upper()}"
    text = str(fault["input"])
    why = fault["msg"] if fault["type"] == _NO_NETWORK else flag.fault_of(text)
    return f"{name}: {why or f'{quoted(text)} cannot be used'}"
