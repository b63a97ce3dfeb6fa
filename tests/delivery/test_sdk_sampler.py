"""The samplers that packages register, and those that none has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from delivery.samples import CALL

from csm_otel.delivery.sampler_choice import choose_sampler
from csm_otel.delivery.sampling import HeadSampler
from csm_otel.delivery.sdk_sampler import sampler_of
from csm_otel.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["sometimes", "parentbased_sometimes", "xray", "parentbased_jaeger_remote"])
def test_an_unknown_sampler_is_a_fault(name: str) -> None:
    """A name that neither the specification nor a package has is refused by the variable's name."""
    with pytest.raises(SettingsError) as caught:
        sampler_of(choose_sampler(name, ""))
    assert str(caught.value) == (
        f"OTEL_TRACES_SAMPLER: no package here has a sampler {name!r}, "
        "use one of always_on, always_off, traceidratio, parentbased_ or not"
    )


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package with samplers: one that works, one that fails, one that is no sampler."""
    (tmp_path / "csm_otel_test_plugin.py").write_text(
        "from opentelemetry.sdk.trace.sampling import ALWAYS_OFF\n"
        "def works(argument):\n    assert argument == 'x'\n    return ALWAYS_OFF\n"
        "def fails(argument):\n    raise RuntimeError('secret ' + str(argument))\n"
        "def other(argument):\n    return 1\n"
    )
    info = tmp_path / "csm_otel_test_plugin-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: csm-otel-test-plugin\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[opentelemetry_traces_sampler]\n"
        + "".join(f"my_{name} = csm_otel_test_plugin:{name}\n" for name in ("works", "fails", "other"))
    )
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("plugins")
def test_a_registered_sampler_is_found_by_its_name() -> None:
    """The entry points of installed packages are samplers too; they get the argument as it is."""
    assert HeadSampler(sampler_of(choose_sampler("my_works", "x"))).keep([CALL]) == []


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("my_fails", "sampler 'my_fails' cannot be loaded: RuntimeError", id="raises"),
        pytest.param("my_other", "'my_other' is not a sampler", id="no-sampler"),
    ],
)
def test_a_registered_sampler_that_does_not_work_is_one_line(name: str, expected: str) -> None:
    """Any exception of a plug-in at start is a fault of the settings, and its text is not repeated."""
    with pytest.raises(SettingsError) as caught:
        sampler_of(choose_sampler(name, "x"))
    assert str(caught.value) == f"OTEL_TRACES_SAMPLER: {expected}"
