"""The settings that exec reads before its command is started."""

from __future__ import annotations

from typing import Any

import pytest

from csm_otel.config.early import Early, read_early
from csm_otel.delivery.sampler_choice import SamplerChoice

DEFAULT = Early(
    is_quiet=False,
    name="",
    service_name="",
    receive_buffer_bytes=4 * 1024 * 1024,
    is_disabled=False,
    propagates=True,
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
        pytest.param({}, {"OTEL_PROPAGATORS": "b3"}, {"propagates": False}, id="other-propagators"),
        pytest.param({}, {"OTEL_PROPAGATORS": "b3, tracecontext"}, {}, id="propagators"),
        pytest.param({}, {"OTEL_PROPAGATORS": ","}, {"propagates": False}, id="no-propagators"),
        pytest.param({}, {"csm_otel_quiet": "true", "otel_sdk_disabled": "true"}, {}, id="lower-case-names"),
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
