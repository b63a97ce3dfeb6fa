"""The sampler chosen by the two variables."""

from __future__ import annotations

import pytest

from csm_otel.delivery.sampler_choice import SamplerChoice, choose_sampler
from csm_otel.errors import Fault, SettingsError


@pytest.mark.parametrize(
    ("name", "argument", "expected"),
    [
        pytest.param("", "", SamplerChoice(), id="unset"),
        pytest.param(" ", "0.5", SamplerChoice(), id="blank"),
        pytest.param("parentbased_always_on", "half", SamplerChoice(), id="default-by-name"),
        pytest.param(" Always_Off ", "", SamplerChoice("always_off", follows_parent=False), id="blanks-and-case"),
        pytest.param("traceidratio", "", SamplerChoice("traceidratio", follows_parent=False), id="ratio-unset"),
        pytest.param("parentbased_traceidratio", " 1e-3 ", SamplerChoice("traceidratio", ratio=0.001), id="ratio"),
        pytest.param(" My_Own ", "a=b", SamplerChoice("My_Own", False, argument="a=b"), id="registered"),
        pytest.param("parentbased_own", "", SamplerChoice("parentbased_own"), id="registered-with-a-parent"),
    ],
)
def test_choice(name: str, argument: str, expected: SamplerChoice) -> None:
    """The six of the specification are known by name and ratio; of others name and argument are kept unchanged."""
    assert choose_sampler(name, argument) == expected


@pytest.mark.parametrize("name", ["traceidratio", "parentbased_traceidratio"])
@pytest.mark.parametrize("argument", ["half", "1.5", "-0.1", "nan", "inf", "50%"])
def test_no_ratio(name: str, argument: str) -> None:
    """An invalid ratio is a fault under the name of its variable."""
    with pytest.raises(SettingsError) as caught:
        choose_sampler(name, argument)

    assert caught.value.faults == (Fault("OTEL_TRACES_SAMPLER_ARG", f"{argument!r} is not a ratio from 0 to 1"),)


@pytest.mark.parametrize(
    ("name", "expected"), [("always_on", True), ("parentbased_traceidratio", True), ("jaeger_remote", False)]
)
def test_standard(name: str, expected: bool) -> None:  # ruff: ignore[boolean-type-hint-positional-argument]
    """Only those of the specification are created without a package that registers them."""
    assert choose_sampler(name, "").is_standard is expected
