"""SDKs with CSM and without."""

from __future__ import annotations

import pytest
from doctor.package_files import codes_of

from csm_otel.doctor.sdk import UNKNOWN, Sdk, not_found, too_old, with_csm, without_csm


@pytest.mark.parametrize(
    ("sdk", "name", "codes"),
    [
        pytest.param(UNKNOWN, "", [], id="unknown"),
        pytest.param(with_csm("A 1"), "A 1 has CSM", [], id="with"),
        pytest.param(without_csm("A 1", "b"), "A 1 has no CSM", ["sdk-without-csm"], id="without"),
        pytest.param(too_old("A 1", "b"), "A 1 has no CSM", ["sdk-too-old"], id="old"),
        pytest.param(not_found("no A", "b"), "", ["sdk-not-found"], id="none"),
    ],
)
def test_findings(sdk: Sdk, name: str, codes: list[str]) -> None:
    """Each says what it is, and what to do instead."""
    assert (sdk.name, codes_of(sdk)) == (name, codes)
    assert all("b" in finding.fix for finding in sdk.findings)
