"""Variables of csm-otel and OpenTelemetry in, codes of findings out."""

from __future__ import annotations

import pytest

from csm_otel.config.configuration import read_configuration
from csm_otel.doctor.variables import check_variables, settings_findings
from csm_otel.errors import Fault

_ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    ("environ", "codes"),
    [
        pytest.param({}, [], id="none"),
        pytest.param(_ENDPOINT, [], id="endpoint"),
        pytest.param({**_ENDPOINT, "OTEL_EXPORTER_OTLP_TIMEOUT": "10"}, ["setting-misread"], id="seconds"),
        pytest.param({**_ENDPOINT, "OTEL_EXPORTER_OTLP_TIMEOUT": "10000"}, [], id="milliseconds"),
        pytest.param({"OTEL_EXPORTER_OTLP_TIMEOUT": "soon", **_ENDPOINT}, ["setting-invalid"], id="no-number"),
        pytest.param({"CSM_OTEL_PORT": "x"}, ["setting-invalid"], id="port"),
        pytest.param({"OTEL_SDK_DISABLED": "true"}, ["traces-off"], id="disabled"),
        pytest.param({"OTEL_SDK_DISABLED": "1"}, [], id="not-disabled"),
        pytest.param({"OTEL_TRACES_EXPORTER": "none"}, ["traces-off"], id="no-exporter"),
        pytest.param({"OTEL_TRACES_EXPORTER": "none", "CSM_OTEL_FILE": "x.jsonl"}, [], id="file-only"),
        pytest.param({"OTEL_TRACES_EXPORTER": "otlp"}, [], id="otlp"),
        pytest.param({"OTEL_TRACES_SAMPLER": "always_off"}, ["traces-off"], id="always-off"),
        pytest.param(
            {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"},
            ["traces-off"],
            id="zero",
        ),
        pytest.param({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}, [], id="some"),
    ],
)
def test_codes(environ: dict[str, str], codes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each variable that is not used as it looks is a finding."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    configuration, faults = read_configuration("exec", {})

    assert [one.code for one in check_variables(configuration, faults, environ).findings] == codes


def test_settings() -> None:
    """Each variable that is invalid is a finding."""
    (finding,) = settings_findings([Fault("CSM_OTEL_PORT", "'x' is not a port")])

    assert (finding.code, finding.what) == ("setting-invalid", "CSM_OTEL_PORT: 'x' is not a port")
