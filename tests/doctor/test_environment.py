"""Variables of CSM in, codes of findings out."""

from __future__ import annotations

import pytest

from csm_otel.doctor.aws_files import Profiles
from csm_otel.doctor.environment import check_environment
from csm_otel.doctor.readers import CONFIG

NONE = Profiles("default", frozenset(), {}, 0, ())
IN_PROFILE = NONE._replace(files={CONFIG: {"default": {"csm_enabled": "true", "csm_port": "31977"}}})


@pytest.mark.parametrize(
    ("environ", "is_listening", "profiles", "codes"),
    [
        pytest.param({}, False, NONE, [], id="for-exec"),
        pytest.param({}, True, NONE, ["csm-not-enabled"], id="daemon"),
        pytest.param({}, True, IN_PROFILE, [], id="daemon-and-profile"),
        pytest.param({"AWS_CSM_PORT": "31000"}, False, NONE, ["csm-not-enabled"], id="port-alone"),
        pytest.param(
            {"AWS_CSM_CLIENT_ID": "x", "AWS_CSM_HOST": ""}, False, NONE, ["csm-not-enabled"], id="others-alone"
        ),
        pytest.param({"AWS_CSM_CLIENT_ID": "x"}, False, IN_PROFILE, [], id="id-and-profile"),
        pytest.param({"AWS_CSM_ENABLED": "true"}, True, NONE, [], id="sound"),
        pytest.param({"AWS_CSM_ENABLED": "1"}, True, NONE, ["csm-enabled-value"], id="one"),
        pytest.param({"AWS_CSM_ENABLED": "no"}, False, NONE, ["csm-enabled-value"], id="no"),
        pytest.param({"AWS_CSM_ENABLED": "false"}, True, NONE, ["csm-disabled"], id="false"),
        pytest.param({"AWS_CSM_ENABLED": ""}, True, NONE, ["csm-disabled"], id="empty"),
        pytest.param({"AWS_SESSION_TOKEN": "x" * 6500}, False, NONE, [], id="token"),
        pytest.param({"AWS_SESSION_TOKEN": "x" * 6501}, False, NONE, ["session-token-too-long"], id="long-token"),
        pytest.param(
            {
                "AWS_CSM_ENABLED": "true",
                "AWS_CSM_PORT": "abc",
                "AWS_CSM_HOST": "::1",
                "AWS_CSM_CLIENT_ID": "x" * 256,
            },
            True,
            NONE,
            ["csm-port-invalid", "csm-host-ipv6", "csm-client-id-too-long"],
            id="all",
        ),
    ],
)
def test_codes(environ: dict[str, str], profiles: Profiles, codes: list[str], *, is_listening: bool) -> None:
    """Each variable is checked by itself."""
    checked = check_environment(
        environ,
        profiles,
        port=31_000,
        is_listening=is_listening,
        resolves=lambda _: False,
    )

    assert [one.code for one in checked.findings] == codes
    assert "xxxx" not in repr(checked)


def test_which_sdks() -> None:
    """The finding says for which SDKs the value enables CSM."""
    (finding,) = check_environment(
        {"AWS_CSM_ENABLED": "1"}, NONE, port=1, is_listening=False, resolves=lambda _: False
    ).findings

    assert finding.why == (
        "It enables CSM for JavaScript, Go, Ruby, PHP, but not for boto3 and the AWS CLI, Java, .NET, C++."
    )


@pytest.mark.parametrize(
    ("environ", "profiles", "is_listening", "codes"),
    [
        pytest.param({}, NONE, True, ["csm-port-differs"], id="unset"),
        pytest.param({"AWS_CSM_PORT": "31977"}, NONE, True, [], id="set"),
        pytest.param({}, IN_PROFILE, True, [], id="in-profile"),
        pytest.param({}, NONE, False, [], id="no-daemon"),
    ],
)
def test_another_port(environ: dict[str, str], profiles: Profiles, codes: list[str], *, is_listening: bool) -> None:
    """A daemon at another port than that of all SDKs is reached only if they are told."""
    enabled = {"AWS_CSM_ENABLED": "true", **environ}
    checked = check_environment(enabled, profiles, port=31_977, is_listening=is_listening, resolves=lambda _: False)

    assert [one.code for one in checked.findings] == codes
