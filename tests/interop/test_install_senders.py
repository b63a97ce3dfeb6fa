"""The installation of SDKs into the cache, with stand-ins for package registries; `make interop` uses the real ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from interop.install_senders import install
from interop.installable import InstallError
from interop.sdks import Sdk, sdks

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty cache."""
    monkeypatch.setenv("CSM_OTEL_CACHE", str(tmp_path))
    return tmp_path


def put_program(folder: Path) -> None:
    """Install a file; fails if it is there already."""
    (folder / "program").touch(exist_ok=False)


SDK = Sdk(name="made-up", version="1", sources=("sender.js",), command=lambda _: (), install=put_program)


def test_an_sdk_is_installed_once() -> None:
    """The second time it is already there, below the cache."""
    assert install(SDK).startswith("installed")
    assert "is there" == install(SDK)
    assert (SDK.folder / "program").exists()


def test_another_version_is_another_installation() -> None:
    """A new pin leads to a new installation, and the old one stays for users of the old pin."""
    newer = replace(SDK, version="2")
    install(SDK)

    assert not newer.is_installed
    install(newer)
    assert SDK.is_installed


def test_a_failed_installation_is_restarted() -> None:
    """The remains of a failed run are no installation, and do not get in the way."""

    def fail(folder: Path) -> None:
        put_program(folder)
        raise InstallError("no network")

    with pytest.raises(InstallError, match="no network"):
        install(replace(SDK, install=fail))

    assert not SDK.is_installed
    assert install(SDK).startswith("installed")


def test_a_missing_program_is_named(cache: Path) -> None:
    """Nothing is started if the machine lacks a program."""
    assert "skipped, it needs maven" == install(replace(SDK, missing=lambda: "maven"))
    assert [] == list(cache.iterdir())


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        pytest.param("javascript-v2", "node and npm on the PATH", id="javascript"),
        pytest.param("go-v1", "go on the PATH", id="go"),
        pytest.param("java-v1", "java and javac and mvn on the PATH", id="java"),
        pytest.param(
            "ruby-v3", "Debian's ruby, ruby-aws-sdk-core, ruby-aws-sdk-s3 (apt-get as root installs them)", id="ruby"
        ),
    ],
)
def test_each_sdk_names_what_it_needs(name: str, needed: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without its toolchain an SDK names its requirements."""
    monkeypatch.setenv("PATH", str(cache))
    (sdk,) = (sdk for sdk in sdks() if sdk.name == name)

    assert needed == sdk.missing()
