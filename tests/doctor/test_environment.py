"""Variables of CSM in, codes of findings out."""

from __future__ import annotations

import pytest

from csm_otel.doctor.environment import check_environment


@pytest.mark.parametrize(
    ("environ", "is_listening", "is_enabled_by_file", "codes"),
    [
        pytest.param({}, False, False, [], id="for-exec"),
        pytest.param({}, True, False, ["csm-not-enabled"], id="daemon"),
        pytest.param({}, True, True, [], id="daemon-and-profile"),
        pytest.param({"AWS_CSM_ENABLED": "true"}, True, False, [], id="sound"),
        pytest.param({"AWS_CSM_ENABLED": "1"}, True, False, ["csm-enabled-value"], id="one"),
        pytest.param({"AWS_CSM_ENABLED": "no"}, False, False, ["csm-enabled-value"], id="no"),
        pytest.param({"AWS_CSM_ENABLED": "false"}, True, False, ["csm-disabled"], id="false"),
        pytest.param({"AWS_CSM_ENABLED": ""}, True, False, ["csm-disabled"], id="empty"),
        pytest.param(
            {
                "AWS_CSM_ENABLED": "true",
                "AWS_CSM_PORT": "abc",
                "AWS_CSM_HOST": "::1",
                "AWS_CSM_CLIENT_ID": "x" * 256,
            },
            True,
            False,
            ["csm-port-invalid", "csm-host-ipv6", "csm-client-id-too-long"],
            id="all",
        ),
    ],
)
def test_codes(environ: dict[str, str], codes: list[str], *, is_listening: bool, is_enabled_by_file: bool) -> None:
    """Each variable is checked by itself."""
    checked = check_environment(
        environ,
        port=31_000,
        is_listening=is_listening,
        is_enabled_by_file=is_enabled_by_file,
        resolves=lambda _: False,
    )

    assert [one.code for one in checked.findings] == codes


def test_which_sdks() -> None:
    """The finding says for which SDKs the value enables CSM."""
    (finding,) = check_environment(
        {"AWS_CSM_ENABLED": "1"}, port=1, is_listening=False, is_enabled_by_file=False, resolves=lambda _: False
    ).findings

    assert finding.why == (
        "It enables CSM for JavaScript, Go, Ruby, PHP, but not for boto3 and the AWS CLI, Java, .NET, C++."
    )
