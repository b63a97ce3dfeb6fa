"""Where SDKs look, and whether botocore really does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import botocore.session
import pytest

from csm_otel.doctor.aws_files import read_profiles
from csm_otel.doctor.readers import active_profile, readers_of, reads_files, reads_variables
from csm_otel.doctor.spellings import BOTO, is_true_for

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("environ", "sections"),
    [
        pytest.param({}, "default default aws_csm default aws_csm default default default", id="none"),
        pytest.param({"AWS_PROFILE": "a"}, "a a aws_csm a a a a a", id="profile"),
        pytest.param(
            {"AWS_DEFAULT_PROFILE": "b"}, "b default aws_csm default aws_csm default default default", id="default"
        ),
        pytest.param({"AWS_PROFILE": "a", "AWS_DEFAULT_PROFILE": "b"}, "b a aws_csm a a a a a", id="both"),
    ],
)
def test_sections(environ: dict[str, str], sections: str) -> None:
    """The variables choose the section for most SDKs."""
    assert [reader.section for reader in readers_of(environ)] == sections.split()


@pytest.mark.parametrize(
    ("value", "files"), [("", 1), ("1", 2), ("true", 2), ("yes", 1)], ids=["unset", "one", "true", "no-bool"]
)
def test_go(value: str, files: int) -> None:
    """Go reads the config file only if a variable enables that."""
    (go,) = (one for one in readers_of({"AWS_SDK_LOAD_CONFIG": value}) if one.sdk == "Go")

    assert len(go.files) == files
    assert go.where.startswith("Go reads [aws_csm] of the c")


def test_a_variable_hides_files() -> None:
    """For some SDKs a variable that enables CSM hides the settings of files."""
    environ = {"AWS_CSM_ENABLED": "true"}

    assert [one.sdk for one in readers_of(environ) if not reads_files(one, environ)] == ["Go", "PHP", "Java", ".NET"]
    assert all(reads_variables(one, environ) for one in readers_of(environ))
    assert all(reads_files(one, {}) for one in readers_of({}))
    assert [one.sdk for one in readers_of({}) if not reads_variables(one, {})] == ["Go", "PHP", "Java", ".NET"]


@pytest.mark.parametrize("section", ["default", "profile a", "profile b", "profile aws_csm"])
@pytest.mark.parametrize("file", ["config", "credentials"])
@pytest.mark.parametrize("value", ["true", "TRUE", "1", "yes", "false", ""])
@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="none"),
        pytest.param({"AWS_PROFILE": "a"}, id="profile"),
        pytest.param({"AWS_PROFILE": "a", "AWS_DEFAULT_PROFILE": "b"}, id="both"),
    ],
)
def test_botocore(
    section: str, file: str, value: str, environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is said of boto3 is what botocore finds."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CSM_ENABLED"):
        monkeypatch.delenv(name, raising=False)
    name = section if file == "config" else section.removeprefix("profile ")
    for other in ("config", "credentials"):
        profiles = (
            "[profile a]\n[profile b]\n" if other == "config" and section not in ("profile a", "profile b") else ""
        )
        text = f"[{name}]\ncsm_enabled = {value}\n" if other == file else profiles
        (tmp_path / other).write_text(text, encoding="utf-8")
    files = {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }
    for variable, setting in (files | environ).items():
        monkeypatch.setenv(variable, setting)
    (reader,) = (one for one in readers_of(environ) if one.sdk == BOTO)
    keys = read_profiles(files | environ, tmp_path).keys_of(reader)
    session = botocore.session.Session()

    assert session.get_config_variable("profile") == (None if not environ else active_profile(environ))
    if session.profile is None or session.profile in session.available_profiles:
        assert session.get_config_variable("csm_enabled") is is_true_for(BOTO, keys.get("csm_enabled", ""))
