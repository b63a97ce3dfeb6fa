"""Real SDKs make real calls that the fault proxy records: every exported tree is compared with that record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from interop.exactness import SenderRow, compare
from interop.sdks import Sdk, sdks
from interop.sending import SCENARIOS, Scenario, Sent, send

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("scenario", [pytest.param(scenario, id=scenario.name) for scenario in SCENARIOS])
@pytest.mark.parametrize("sdk", [pytest.param(sdk, id=sdk.name) for sdk in sdks()])
def test_every_call_of_an_sdk_is_exported(
    sdk: Sdk, scenario: Scenario, moto_port: int, tmp_path: Path, sender_rows: list[SenderRow]
) -> None:
    """Each call has its attempts below it, each with its status, its request id and its time."""
    if reason := sdk.why_not():
        pytest.skip(reason)
    sent = send(sdk, scenario, moto_port=moto_port, folder=tmp_path)
    _is_the_scenario(scenario, sdk, sent)
    comparison = compare(sent.made, sent.spans)
    sender_rows.append(SenderRow(sender=sdk.name, version=sdk.version, scenario=scenario.name, comparison=comparison))

    details = f"{comparison.differences}\n{comparison.left_over}\nin {tmp_path}"
    assert comparison.share >= scenario.least_share, details
    if not scenario.is_concurrent:
        assert not comparison.left_over, details


def _is_the_scenario(scenario: Scenario, sdk: Sdk, sent: Sent) -> None:
    """Check that the calls had the faults of the scenario, or the test would prove nothing."""
    assert [] == sent.strangers
    assert scenario.calls * len(sdk.apis[-scenario.apis :]) == len(sent.made)
    if scenario.attempts_made is None:
        assert max(len(call.attempts) for call in sent.made) > 1
    else:
        assert {scenario.attempts_made} == {len(call.attempts) for call in sent.made}
    if scenario.fails is not None:
        assert {scenario.fails} == {call.failed for call in sent.made}
