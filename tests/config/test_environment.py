"""The reading of flags and environment, and the removal of variables for libraries."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from configured import given
from hypothesis import given as given_by_hypothesis
from hypothesis import strategies as st

from csm_otel.config.environment import Given, read_environment, remove_variables, values_of
from csm_otel.config.setting import Unusable
from csm_otel.config.settings import Settings
from csm_otel.config.standard import VARIABLES, StandardVariables
from csm_otel.errors import Fault


def test_nothing_given() -> None:
    """Without flags and variables everything has its default."""
    assert given({}) == Given(Settings(), StandardVariables(), (), {})


@pytest.mark.parametrize(
    ("variables", "is_loaded"),
    [
        pytest.param({}, False, id="none"),
        pytest.param({"CSM_OTEL_NAME": "", "OTEL_SERVICE_NAME": ""}, False, id="empty"),
        pytest.param({"CSM_OTEL_QUIET": "yes"}, False, id="overridden-by-a-flag"),
        pytest.param({"OTEL_LOGS_EXPORTER": "otlp", "csm_otel_name": "x"}, False, id="others"),
        pytest.param({"CSM_OTEL_NAME": "x"}, True, id="ours"),
        pytest.param({"OTEL_SERVICE_NAME": "x"}, False, id="standard"),
    ],
)
def test_pydantic_is_loaded_for_variables_only(variables: dict[str, str], *, is_loaded: bool) -> None:
    """A run without a variable of ours does not spend a tenth of a second on their model."""
    program = (
        "import sys; from csm_otel.config.environment import read_environment; read_environment({'quiet': True});"
        "print('pydantic_settings' in sys.modules)"
    )
    others = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "CSM_OTEL_"))}

    done = subprocess.run(
        [sys.executable, "-c", program], env=others | variables, capture_output=True, text=True, check=False
    )

    assert (done.stderr, done.stdout) == ("", f"{is_loaded}\n")


_TEXTS = st.sampled_from(
    ["", " ", "0", "7", "7.0", "-1", "true", "a=b", "a=b,c", "otlp", "none", "grpc", "gzip", "é", "x"]
)


@given_by_hypothesis(st.dictionaries(st.sampled_from(list(VARIABLES)), _TEXTS))
def test_standard_variables_are_read_as_by_the_model(texts: dict[str, str]) -> None:
    """They have the values and faults that the model of our settings would find."""
    with pytest.MonkeyPatch.context() as patch:
        for field, setting in VARIABLES.items():
            patch.setenv(setting.variable, texts.get(field, ""))
        found = values_of(VARIABLES.values())
        read = read_environment({})

    usable = {field: value for field, value in found.items() if not isinstance(value, Unusable)}
    assert read.variables == StandardVariables(**usable)
    assert read.variable_faults == {
        field: VARIABLES[field].fault(value) for field, value in found.items() if isinstance(value, Unusable)
    }


def test_everything_is_read_at_once() -> None:
    """Flags, our variables and the standard ones are read together, with separate faults."""
    variables = {
        "CSM_OTEL_PORT": "x",
        "CSM_OTEL_HOST": "::1",
        "OTEL_SERVICE_NAME": "nightly",
        "OTEL_BSP_MAX_QUEUE_SIZE": "0",
        "OTEL_TRACES_EXPORTER": "zipkin",
    }
    found = given(variables, flags={"host": "127.0.0.2", "quiet": None})

    assert found.settings == Settings(host="127.0.0.2")
    assert found.variables == StandardVariables(service_name="nightly")
    assert found.setting_faults == (Fault("CSM_OTEL_PORT", "'x' is not a whole number from 0 to 65535"),)
    assert {field: fault.name for field, fault in found.variable_faults.items()} == {
        "bsp_max_queue_size": "OTEL_BSP_MAX_QUEUE_SIZE",
        "traces_exporter": "OTEL_TRACES_EXPORTER",
    }


def test_names_are_in_capitals() -> None:
    """A variable whose name has other letters is another one, as everywhere in POSIX."""
    variables = {"csm_otel_quiet": "true", "Csm_Otel_Port": "x", "otel_sdk_disabled": "true", "quiet": "true"}

    assert given(variables) == Given(Settings(), StandardVariables(), (), {})


def test_reading_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is unchanged, with its unusable values."""
    monkeypatch.setenv("CSM_OTEL_PORT", "x")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "soon")
    before = dict(os.environ)

    assert read_environment({}) == read_environment({})
    assert before == dict(os.environ)


def test_removed_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables that libraries here must not read are removed; others stay."""
    removed = {"OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME", "AWS_CSM_ENABLED", "AWS_CSM_PORT"}
    removed |= {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION_VERSION"}
    removed |= {setting.variable for field, setting in VARIABLES.items() if field.endswith("_limit")}
    kept = {"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "OTEL_BSP_SCHEDULE_DELAY", "A_LIMIT", "AWS_REGION"}
    for name in removed | kept:
        monkeypatch.setenv(name, "x")

    remove_variables()

    assert {name for name in removed | kept if name in os.environ} == kept


@pytest.mark.parametrize(
    "text",
    [pytest.param(text, id=ascii(text)) for text in ("x", "-1", "²", " ", "", "7")]
    + [pytest.param("9" * 5_000, id="long")],
)
def test_sdk_can_be_imported(text: str) -> None:
    """With any limits, the SDK can be imported once they have been removed."""
    program = (
        "from csm_otel.config.environment import remove_variables; remove_variables();"
        "from opentelemetry.sdk.trace import SpanLimits; print(SpanLimits().max_events)"
    )
    limits = {setting.variable: text for field, setting in VARIABLES.items() if field.endswith("_limit")}

    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **limits}, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr, done.stdout) == (0, "", "128\n")
