"""Which files are read, and what is kept of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from csm_otel.doctor.aws_files import read_profiles
from csm_otel.doctor.profiles import check_profiles
from csm_otel.doctor.readers import readers_of

if TYPE_CHECKING:
    from pathlib import Path

ON = "csm_enabled = true\n"


def test_files_of_variables(tmp_path: Path) -> None:
    """The variables name other files; one that does not exist is a finding."""
    (tmp_path / "mine").write_text(f"[profile aws_csm]\n{ON}", encoding="utf-8")
    environ = {"AWS_CONFIG_FILE": "~/mine", "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "gone")}
    profiles = read_profiles(environ, tmp_path)

    assert profiles.is_enabled(environ)
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


@pytest.mark.parametrize(
    ("config", "credentials", "port"),
    [
        pytest.param("", "", "", id="none"),
        pytest.param("1", "", "1", id="config"),
        pytest.param("1", "2", "2", id="credentials-win"),
    ],
)
def test_both_files(config: str, credentials: str, port: str, tmp_path: Path) -> None:
    """Most SDKs merge both files."""
    (tmp_path / ".aws").mkdir()
    for name, value in (("config", config), ("credentials", credentials)):
        text = f"[default]\ncsm_port = {value}\n" if value else ""
        (tmp_path / ".aws" / name).write_text(text, encoding="utf-8")
    profiles = read_profiles({}, tmp_path)

    assert profiles.keys_of(readers_of({})[0]).get("csm_port", "") == port
    assert profiles.has_port({}) is bool(port)


def test_a_folder(tmp_path: Path) -> None:
    """A variable that names a folder is a finding."""
    (finding,) = read_profiles({"AWS_CONFIG_FILE": str(tmp_path)}, tmp_path).unreadable

    assert finding.what == "the file of 'AWS_CONFIG_FILE' cannot be read: is a directory"
