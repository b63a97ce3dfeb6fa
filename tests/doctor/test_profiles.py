"""AWS configuration files in, codes of findings out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from csm_otel.doctor.aws_files import read_profiles
from csm_otel.doctor.profiles import check_profiles

if TYPE_CHECKING:
    from pathlib import Path

ON = "csm_enabled = true\n"
BOTH = f"[default]\n{ON}[profile aws_csm]\n{ON}"
LOAD = {"AWS_SDK_LOAD_CONFIG": "1"}
PARTIAL, LOAD_CONFIG = "csm-profile-partial", "csm-go-load-config"


@pytest.mark.parametrize(
    ("config", "environ", "codes"),
    [
        pytest.param("", {}, [], id="empty"),
        pytest.param("[default]\nregion = eu-west-1\n", {}, [], id="no-csm"),
        pytest.param(BOTH, {}, ["csm-go-load-config"], id="go-reads-credentials"),
        pytest.param(BOTH, LOAD, [], id="go-reads-both"),
        pytest.param(BOTH, {"AWS_CSM_ENABLED": "true"}, [], id="both-and-variable"),
        pytest.param(f"[default]\n{ON}", LOAD, [PARTIAL], id="default-only"),
        pytest.param(f"[aws_csm]\n{ON}", {}, [LOAD_CONFIG, "csm-profile-partial"], id="aws-csm-only"),
        pytest.param(f"[default]\n{ON}", {"AWS_CSM_ENABLED": "true"}, [], id="one-and-variable"),
        pytest.param(f"{BOTH}[profile a]\n{ON}", {"AWS_PROFILE": "a"}, [LOAD_CONFIG], id="active"),
        pytest.param(f"{BOTH}[profile a]\n", {"AWS_PROFILE": "a", **LOAD}, [PARTIAL], id="active-without"),
        pytest.param("", {"AWS_PROFILE": "gone"}, ["profile-missing"], id="no-such-profile"),
        pytest.param("", {"AWS_DEFAULT_PROFILE": "gone"}, ["profile-missing"], id="no-such-default"),
        pytest.param(
            "[profile a]\n[profile b]\n",
            {"AWS_PROFILE": "a", "AWS_DEFAULT_PROFILE": "b"},
            ["profile-ambiguous"],
            id="two",
        ),
        pytest.param("[default]\ncsm_enabled=false\n", {}, ["csm-enabled-value", PARTIAL], id="off-but-for-ruby"),
        pytest.param("[default]\ncsm_enabled=false\n", {"AWS_CSM_ENABLED": "true"}, ["csm-profile-conflict"], id="off"),
        pytest.param(BOTH, {"AWS_CSM_ENABLED": "false"}, ["csm-profile-conflict"] * 2, id="variable-off"),
        pytest.param(BOTH.replace("true", "1", 1), LOAD, ["csm-enabled-value"], id="one"),
        pytest.param(BOTH + "csm_port = 31005\n", {}, ["csm-port-differs", LOAD_CONFIG], id="another-port"),
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


@pytest.mark.parametrize(
    ("environ", "missing"),
    [
        pytest.param({}, "PHP", id="by-section"),
        pytest.param({"AWS_SDK_LOAD_CONFIG": "1"}, "Go, PHP", id="go-too"),
        pytest.param({"AWS_CSM_PORT": "31005"}, "PHP", id="variable-without-enabled"),
        pytest.param({"AWS_CSM_ENABLED": "true"}, "Go, PHP, Java, .NET", id="no-file-is-read"),
        pytest.param({"AWS_CSM_ENABLED": "true", "AWS_CSM_PORT": "31005"}, "", id="variable"),
    ],
)
def test_a_port_for_some(environ: dict[str, str], missing: str, tmp_path: Path) -> None:
    """SDKs that do not find the daemon's port in the files are named."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text(f"[default]\n{ON}csm_port = 31005\n[aws_csm]\n{ON}", encoding="utf-8")
    checked = check_profiles(environ, read_profiles(environ, tmp_path), port=31_005, resolves=lambda _: False)
    found = [one for one in checked.findings if one.code == "csm-port-partial"]

    assert [one.what.partition("but not for ")[2] for one in found] == ([missing] if missing else [])


def test_who_reads_what(tmp_path: Path) -> None:
    """SDKs for which nothing is enabled are named, with the section and the files that they read."""
    (tmp_path / "config").write_text(f"[default]\n{ON}", encoding="utf-8")
    environ = {"AWS_CONFIG_FILE": str(tmp_path / "config")}
    (finding,) = check_profiles(
        environ, read_profiles(environ, tmp_path), port=31_000, resolves=lambda _: False
    ).findings

    assert finding.why == "Go reads [aws_csm] of the credentials file; PHP reads [aws_csm] of the config file."


@pytest.mark.parametrize(
    ("environ", "codes"),
    [
        pytest.param({}, ["session-token-too-long"], id="of-the-file"),
        pytest.param({"AWS_SESSION_TOKEN": "x"}, [], id="of-the-variable"),
        pytest.param({"AWS_PROFILE": "a"}, [], id="of-another-profile"),
    ],
)
def test_a_long_token(environ: dict[str, str], codes: list[str], tmp_path: Path) -> None:
    """A session token in the credentials file is measured, and not kept."""
    (tmp_path / ".aws").mkdir()
    text = f"[default]\naws_session_token = {'x' * 6501}\n[a]\n"
    (tmp_path / ".aws/credentials").write_text(text, encoding="utf-8")
    profiles = read_profiles(environ, tmp_path)
    checked = check_profiles(environ, profiles, port=31_000, resolves=lambda _: False)

    assert [one.code for one in checked.findings] == codes
    assert "xxx" not in repr((profiles, checked))
