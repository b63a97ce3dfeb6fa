"""How SDKs get into the cache, with stand-ins for package registries; the real ones are `make interop`'s own doing."""

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
    """Give an empty cache."""
    monkeypatch.setenv("CSM_OTEL_CACHE", str(tmp_path))
    return tmp_path


def put_program(folder: Path) -> None:
    """Install what is easily had; it does not like to be put over what is there."""
    (folder / "program").touch(exist_ok=False)


SDK = Sdk(name="made-up", version="1", sources=("sender.js",), command=lambda _: (), install=put_program)


def test_an_sdk_is_installed_once() -> None:
    """The second time it is there, below the cache."""
    assert install(SDK).startswith("installed")
    assert "is there" == install(SDK)
    assert (SDK.folder / "program").exists()


def test_another_version_is_another_installation() -> None:
    """A new pin leads to a new installation, and the old one stays for those that have the old pin."""
    newer = replace(SDK, version="2")
    install(SDK)

    assert not newer.is_installed
    install(newer)
    assert SDK.is_installed


def test_a_failed_installation_is_begun_again() -> None:
    """What a failed run left is no installation, and in nobody's way."""

    def fail(folder: Path) -> None:
        put_program(folder)
        raise InstallError("no network")

    with pytest.raises(InstallError, match="no network"):
        install(replace(SDK, install=fail))

    assert not SDK.is_installed
    assert install(SDK).startswith("installed")


def test_what_is_missing_is_named(cache: Path) -> None:
    """Nothing is begun where the machine lacks a program."""
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
    """On a machine without its toolchain an SDK says what would have to be there."""
    monkeypatch.setenv("PATH", str(cache))
    (sdk,) = (sdk for sdk in sdks() if sdk.name == name)

    assert needed == sdk.missing()
