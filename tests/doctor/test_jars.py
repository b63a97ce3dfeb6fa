"""Class paths in, codes of findings out."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest
from doctor.package_files import codes_of, make

from csm_otel.doctor.jars import sdk_of_java

if TYPE_CHECKING:
    from pathlib import Path


def jar(path: Path, *names: str, manifest: str = "") -> Path:
    """Make a jar with entries of these names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "")
        if manifest:
            archive.writestr("META-INF/MANIFEST.MF", manifest)
    return path


@pytest.mark.parametrize(
    ("names", "codes"),
    [
        pytest.param(["software/amazon/awssdk/core/A.class"], ["sdk-without-csm"], id="v2"),
        pytest.param(["BOOT-INF/lib/aws-core-2.20.1.jar"], ["sdk-without-csm"], id="v2-nested"),
        pytest.param(["software/amazon/awssdk/core/A.class", "com/amazonaws/A.class"], [], id="both"),
        pytest.param(["com/amazonaws/A.class"], [], id="v1"),
        pytest.param(["BOOT-INF/lib/aws-java-sdk-core-1.12.705.jar"], [], id="v1-nested"),
        pytest.param(["com/amazonaws/AmazonWebServiceClient.class"], ["sdk-too-old"], id="v1-old"),
        pytest.param(
            ["com/amazonaws/AmazonWebServiceClient.class", "com/amazonaws/monitoring/A.class"], [], id="v1-with-csm"
        ),
        pytest.param(["aws/sdk/kotlin/services/s3/S3Client.class"], ["sdk-without-csm"], id="kotlin"),
        pytest.param(["A.class"], [], id="neither"),
    ],
)
def test_a_jar(names: list[str], codes: list[str], tmp_path: Path) -> None:
    """A jar lists its classes and the jars in it."""
    target = str(jar(tmp_path / "tool.jar", *names))

    assert codes_of(sdk_of_java(["java", "-jar", target], target, {})) == codes


@pytest.mark.parametrize(
    "argv",
    [
        pytest.param("-cp {}/lib/x.jar:{}/lib/aws-core-2.20.1.jar Main", id="cp"),
        pytest.param("-Xmx1g -classpath {}/lib/* Main", id="wildcard"),
        pytest.param("--class-path={}/classes:{}/lib/* Main", id="equals"),
        pytest.param("--class-path {}/classes Main", id="folder"),
        pytest.param("Main", id="variable"),
        pytest.param("-jar {}/app.jar", id="manifest"),
    ],
)
def test_class_path(argv: str, tmp_path: Path) -> None:
    """The class path is that of the options, the variable, or the manifest of a jar."""
    jar(tmp_path / "lib/x.jar", "A.class")
    jar(tmp_path / "lib/aws-core-2.20.1.jar", "software/amazon/awssdk/A.class")
    make(tmp_path / "classes/software/amazon/awssdk/A.class")
    jar(
        tmp_path / "app.jar", manifest="Manifest-Version: 1.0\r\nClass-Path: lib/x.jar lib/aws-co\r\n re-2.20.1.jar\r\n"
    )
    words = argv.replace("{}", str(tmp_path)).split()
    environ = {"CLASSPATH": f"{tmp_path}/lib/*"} if words == ["Main"] else {}
    sdk = sdk_of_java(["java", *words], words[-1], environ)

    assert codes_of(sdk) == ["sdk-without-csm"]
    assert sdk.name == "the AWS SDK for Java v2 has no CSM"


def test_bound(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The jars of a class path are read up to a bound."""
    monkeypatch.setattr("csm_otel.doctor.jars._MOST_BYTES", 64)
    jar(tmp_path / "a.jar", *"abc")
    jar(tmp_path / "b.jar", "software/amazon/awssdk/A.class")

    assert not codes_of(sdk_of_java(["java", "-cp", f"{tmp_path}/*", "Main"], "Main", {}))


def test_no_jar(tmp_path: Path) -> None:
    """Nothing is known of what is damaged, missing or a folder."""
    (tmp_path / "folder.jar").mkdir()
    for path in (make(tmp_path / "a.jar", b"PK"), tmp_path / "gone.jar", tmp_path / "folder.jar"):
        assert not sdk_of_java(["java", "-jar", str(path)], str(path), {}).name
