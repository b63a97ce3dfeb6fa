"""AWS configuration files in, codes of findings out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from csm_otel.doctor.profiles import check_profiles, read_profiles

if TYPE_CHECKING:
    from pathlib import Path

ON = "csm_enabled = true\n"
BOTH = f"[default]\n{ON}[profile aws_csm]\n{ON}"


@pytest.mark.parametrize(
    ("config", "environ", "codes"),
    [
        pytest.param("", {}, [], id="empty"),
        pytest.param("[default]\nregion = eu-west-1\n", {}, [], id="no-csm"),
        pytest.param(BOTH, {}, [], id="both"),
        pytest.param(BOTH, {"AWS_CSM_ENABLED": "true"}, [], id="both-and-variable"),
        pytest.param(f"[default]\n{ON}", {}, ["csm-profile-partial"], id="default-only"),
        pytest.param(f"[aws_csm]\n{ON}", {}, ["csm-profile-partial"], id="aws-csm-only"),
        pytest.param(f"[default]\n{ON}", {"AWS_CSM_ENABLED": "true"}, [], id="one-and-variable"),
        pytest.param(f"{BOTH}[profile a]\n{ON}", {"AWS_PROFILE": "a"}, [], id="active"),
        pytest.param(f"{BOTH}[profile a]\n", {"AWS_PROFILE": "a"}, ["csm-profile-partial"], id="active-without"),
        pytest.param("", {"AWS_PROFILE": "gone"}, ["profile-missing"], id="no-such-profile"),
        pytest.param("[default]\ncsm_enabled=false\n", {"AWS_CSM_ENABLED": "true"}, ["csm-profile-conflict"], id="off"),
        pytest.param(BOTH, {"AWS_CSM_ENABLED": "false"}, ["csm-profile-conflict"] * 2, id="variable-off"),
        pytest.param(BOTH.replace("true", "1", 1), {}, ["csm-enabled-value"], id="one"),
        pytest.param("[default]\ncsm_port = abc\n", {}, ["csm-port-invalid"], id="port"),
        pytest.param("[default]\ncsm_port = abc\n", {"AWS_CSM_PORT": "31000"}, [], id="port-of-variable"),
        pytest.param("[default]\ncsm_host = ::1\n", {}, ["csm-host-ipv6"], id="host"),
        pytest.param(f"[default]\ncsm_client_id = {'x' * 256}\n", {}, ["csm-client-id-too-long"], id="client-id"),
        pytest.param("region = x\n", {}, ["aws-config-unreadable"], id="no-section"),
        pytest.param("[a]\n[a]\n", {}, ["aws-config-unreadable"], id="section-twice"),
        pytest.param("[a]\nregion\n  b\n", {}, ["aws-config-unreadable"], id="no-value"),
        pytest.param("\0\xff", {}, ["aws-config-unreadable"], id="binary"),
        pytest.param("[default]\ns3 =\n  max_concurrent_requests = 20\n", {}, [], id="nested"),
        pytest.param("[default]\nregion = %(x)s\n[DEFAULT]\na = b\n", {}, [], id="percent"),
    ],
)
def test_codes(config: str, environ: dict[str, str], codes: list[str], tmp_path: Path) -> None:
    """Each value counts only where no variable wins over it."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text(config, encoding="utf-8")
    profiles = read_profiles(environ, tmp_path)
    checked = check_profiles(environ, profiles, port=31_000, resolves=lambda _: False)

    assert [one.code for one in checked.findings] == codes


def test_files_of_variables(tmp_path: Path) -> None:
    """The variables name other files; one that does not exist is a finding."""
    (tmp_path / "mine").write_text(f"[profile aws_csm]\n{ON}", encoding="utf-8")
    environ = {"AWS_CONFIG_FILE": "~/mine", "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "gone")}
    profiles = read_profiles(environ, tmp_path)

    assert profiles.is_enabled
    assert [one.what for one in profiles.unreadable] == [
        "the file of 'AWS_SHARED_CREDENTIALS_FILE' cannot be read: it does not exist"
    ]


def test_no_secret_is_shown(tmp_path: Path) -> None:
    """Nothing but settings of CSM is kept of a file, and nothing of a damaged one."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text("[default]\naws_secret_access_key = S3CR3T\n" + ON, encoding="utf-8")
    (tmp_path / ".aws/config").write_text("S3CR3T\n", encoding="utf-8")
    profiles = read_profiles({}, tmp_path)
    checked = check_profiles({}, profiles, port=31_000, resolves=lambda _: False)

    assert checked.findings
    assert "S3CR3T" not in repr((profiles, checked))
