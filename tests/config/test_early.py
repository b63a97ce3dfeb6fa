"""The settings that exec reads before its command is started."""

from __future__ import annotations

import os
from typing import Any

import pytest

from csm_otel.config.early import Early, read_early, read_settings_of
from csm_otel.config.environment import read_settings
from csm_otel.config.setting import Address
from csm_otel.config.settings import Settings
from csm_otel.delivery.sampler_choice import SamplerChoice

DEFAULT = Early(
    is_quiet=False,
    name="",
    service_name="",
    receive_buffer_bytes=4 * 1024 * 1024,
    is_disabled=False,
    propagators=("tracecontext", "baggage"),
    xray_trace_ids=False,
    sampler=SamplerChoice(),
)


@pytest.mark.parametrize(
    ("flags", "environ", "changed"),
    [
        pytest.param({}, {}, {}, id="nothing"),
        pytest.param({"quiet": None, "name": None}, {}, {}, id="no-flag-given"),
        pytest.param({"quiet": True}, {}, {"is_quiet": True}, id="quiet-flag"),
        pytest.param({}, {"CSM_OTEL_QUIET": "yes"}, {"is_quiet": True}, id="quiet"),
        pytest.param({"quiet": False}, {"CSM_OTEL_QUIET": "true"}, {}, id="flag-wins"),
        pytest.param({}, {"CSM_OTEL_QUIET": "perhaps"}, {}, id="quiet-unusable"),
        pytest.param({}, {"CSM_OTEL_NAME": "nightly"}, {"name": "nightly"}, id="name"),
        pytest.param({}, {"OTEL_SERVICE_NAME": "a"}, {"service_name": "a"}, id="service-name"),
        pytest.param(
            {}, {"OTEL_RESOURCE_ATTRIBUTES": "x=y,service%2Ename=a%20b"}, {"service_name": "a b"}, id="attribute"
        ),
        pytest.param({}, {"OTEL_RESOURCE_ATTRIBUTES": "service.name=a,nonsense"}, {}, id="attributes-in-error"),
        pytest.param({}, {"CSM_OTEL_RECEIVE_BUFFER_BYTES": "4096"}, {"receive_buffer_bytes": 4096}, id="buffer"),
        pytest.param({"receive_buffer_bytes": 8192}, {}, {"receive_buffer_bytes": 8192}, id="buffer-flag"),
        pytest.param({}, {"CSM_OTEL_RECEIVE_BUFFER_BYTES": "9" * 40}, {}, id="buffer-out-of-bounds"),
        pytest.param({}, {"OTEL_SDK_DISABLED": " True "}, {"is_disabled": True}, id="disabled"),
        pytest.param({}, {"OTEL_SDK_DISABLED": "1"}, {}, id="only-true-disables"),
        pytest.param({}, {"OTEL_PROPAGATORS": "b3"}, {"propagators": ("b3",)}, id="other-propagators"),
        pytest.param({}, {"OTEL_PROPAGATORS": "b3, xray"}, {"propagators": ("b3", "xray")}, id="propagators"),
        pytest.param({}, {"OTEL_PROPAGATORS": ","}, {"propagators": ()}, id="no-propagators"),
        pytest.param({}, {"csm_otel_quiet": "true", "otel_sdk_disabled": "true"}, {}, id="lower-case-names"),
        pytest.param({}, {"OTEL_PYTHON_ID_GENERATOR": "xray"}, {"xray_trace_ids": True}, id="ids-of-xray"),
        pytest.param({}, {"OTEL_PYTHON_ID_GENERATOR": "snowflake"}, {}, id="ids-unusable"),
        pytest.param({}, {"OTEL_PROPAGATORS": " "}, {}, id="blank-propagators"),
        pytest.param(
            {},
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"},
            {"sampler": SamplerChoice("traceidratio", follows_parent=False, ratio=0.5)},
            id="sampler",
        ),
        pytest.param(
            {}, {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "half"}, {}, id="sampler-unusable"
        ),
    ],
)
def test_early(flags: dict[str, object], environ: dict[str, str], changed: dict[str, Any]) -> None:
    """A flag wins over its variable, and an unusable value is replaced by the default."""
    assert read_early(flags, environ) == DEFAULT._replace(**changed)


@pytest.mark.parametrize(
    ("flags", "environ", "expected"),
    [
        pytest.param({}, {}, Settings(), id="nothing"),
        pytest.param({"port": None}, {"CSM_OTEL_PORT": "1"}, Settings(port=1), id="variable"),
        pytest.param({"port": 0, "check": "ready"}, {"CSM_OTEL_PORT": "1"}, Settings(port=0, check="ready"), id="flag"),
        pytest.param({}, {"CSM_OTEL_HEALTH": "[::1]:2"}, Settings(health=Address("::1", 2)), id="address"),
        pytest.param({}, {"CSM_OTEL_PORT": "", "CSM_OTEL_HEALTH": ""}, Settings(), id="empty"),
        pytest.param({}, {"CSM_OTEL_PORT": "x", "CSM_OTEL_CHECK": "y"}, Settings(), id="unusable"),
        pytest.param({"port": 3}, {"CSM_OTEL_PORT": "x"}, Settings(port=3), id="unusable-and-not-used"),
    ],
)
def test_settings_of_a_command(
    flags: dict[str, object], environ: dict[str, str], expected: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are those of the whole configuration, with the same faults."""
    settings, faults = read_settings_of("health", flags, environ)
    assert settings == expected

    for name in [name for name in os.environ if name.startswith("CSM_OTEL_")]:
        monkeypatch.delenv(name)
    for name, text in environ.items():
        monkeypatch.setenv(name, text)
    assert read_settings(flags) == (settings, tuple(faults))


def test_settings_of_other_commands() -> None:
    """They are not read."""
    assert read_settings_of("health", {}, {"CSM_OTEL_QUIET": "x", "CSM_OTEL_GRACE_SECONDS": "1"}) == (Settings(), [])
