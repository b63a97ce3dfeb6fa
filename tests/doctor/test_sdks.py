"""Files of SDKs in, codes of findings out."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from csm_otel.doctor.sdks import sdk_findings, site_packages


def make(path: Path, content: bytes = b"") -> Path:
    """Make a file and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("files", "codes"),
    [
        pytest.param(["botocore/__init__.py", "botocore/monitoring.py"], [], id="botocore"),
        pytest.param(["botocore/__init__.py", "botocore-1.9.0.dist-info/METADATA"], ["sdk-too-old"], id="old-botocore"),
        pytest.param([], ["sdk-not-found"], id="none"),
    ],
)
def test_python(files: list[str], codes: list[str], tmp_path: Path) -> None:
    """The packages are those of the interpreter's virtual environment."""
    make(tmp_path / "pyvenv.cfg")
    python = make(tmp_path / "bin/python3")
    for file in files:
        make(tmp_path / "lib/python3.11/site-packages" / file)
    findings = sdk_findings(python, ["python3", "script.py"], {})

    assert [one.code for one in findings] == codes
    assert all("1.9.0" in one.what for one in findings if one.code == "sdk-too-old")


def test_this_python() -> None:
    """The packages of a real environment are found."""
    assert any((folder / "botocore").is_dir() for folder in site_packages(Path(sys.executable), {}))


@pytest.mark.parametrize(
    ("folder", "codes"),
    [
        pytest.param("aws-sdk", [], id="v2"),
        pytest.param("@aws-sdk/client-s3", ["sdk-without-csm"], id="v3"),
        pytest.param("express", [], id="neither"),
    ],
)
def test_node(folder: str, codes: list[str], tmp_path: Path) -> None:
    """The packages are those of the script's folder or one above it."""
    make(tmp_path / "node_modules" / folder / "package.json")
    script = make(tmp_path / "src/script.js")

    assert [one.code for one in sdk_findings(Path("/usr/bin/node"), ["node", str(script)], {})] == codes


@pytest.mark.parametrize(
    ("content", "codes"),
    [
        pytest.param(b"x github.com/aws/aws-sdk-go/aws x", [], id="go-v1"),
        pytest.param(b"x github.com/aws/aws-sdk-go-v2/aws x", ["sdk-without-csm"], id="go-v2"),
        pytest.param(
            b"x" * (1024**2 - 8) + b"github.com/aws/aws-sdk-go-v2/aws", ["sdk-without-csm"], id="between-two-reads"
        ),
        pytest.param(b"x aws-smithy-runtime x", ["sdk-without-csm"], id="rust"),
        pytest.param(b"", [], id="none"),
    ],
)
def test_binary(content: bytes, codes: list[str], tmp_path: Path) -> None:
    """A compiled program contains the names of its packages."""
    assert [one.code for one in sdk_findings(make(tmp_path / "tool", content), ["tool"], {})] == codes


def test_unreadable() -> None:
    """Nothing is known of what cannot be read, and code is no path."""
    code = "x" * 5000 + "/" + "x"
    assert [one.code for one in sdk_findings(Path("/nowhere/python3"), ["python3", "-c", code], {})] == [
        "sdk-not-found"
    ]
    assert sdk_findings(Path("/nowhere/node"), ["node", f"{code}.js"], {}) == []
    assert sdk_findings(Path("/nowhere/tool"), ["tool"], {}) == []


@pytest.mark.parametrize(
    ("source", "codes"),
    [
        pytest.param("import boto\n", ["sdk-without-csm"], id="boto-2"),
        pytest.param("def f():\n  from boto.s3 import connect\n", ["sdk-without-csm"], id="boto-2-below"),
        pytest.param("import boto3\n", [], id="boto3"),
        pytest.param("print 'import boto'\n", [], id="python-2"),
    ],
)
def test_imports(source: str, codes: list[str], tmp_path: Path) -> None:
    """The script's imports are read; botocore may be in a folder of PYTHONPATH."""
    make(tmp_path / "more/botocore/monitoring.py")
    script = make(tmp_path / "script.py", source.encode())
    argv = ["python3", "-u", str(script)]

    assert [
        one.code for one in sdk_findings(tmp_path / "bin/python3", argv, {"PYTHONPATH": f"{tmp_path}/more"})
    ] == codes


@pytest.mark.parametrize(
    ("source", "codes"),
    [
        pytest.param("import boto3\n", ["sdk-not-found"], id="boto3"),
        pytest.param("import aiobotocore.session\n", ["sdk-not-found"], id="aiobotocore"),
        pytest.param("import subprocess\n", [], id="other-programs"),
    ],
)
def test_imports_without_packages(source: str, codes: list[str], tmp_path: Path) -> None:
    """Without botocore a script that does not import it is sound: other programs may make its calls."""
    argv = ["python3", str(make(tmp_path / "script.py", source.encode()))]

    assert [one.code for one in sdk_findings(tmp_path / "bin/python3", argv, {})] == codes


def test_user_packages(tmp_path: Path) -> None:
    """Packages that a user has installed are found, but not by a virtual environment."""
    make(tmp_path / ".local/lib/python3.11/site-packages/botocore/monitoring.py")
    environ = {"HOME": str(tmp_path)}

    assert not sdk_findings(tmp_path / "usr/bin/python3", ["python3"], environ)
    make(tmp_path / "usr/pyvenv.cfg", b"include-system-site-packages = false")
    assert sdk_findings(tmp_path / "usr/bin/python3", ["python3"], environ)


@pytest.mark.parametrize(
    ("names", "codes"),
    [
        pytest.param(["software/amazon/awssdk/core/A.class"], ["sdk-without-csm"], id="v2"),
        pytest.param(["BOOT-INF/lib/aws-core-2.20.1.jar"], ["sdk-without-csm"], id="v2-nested"),
        pytest.param(["software/amazon/awssdk/core/A.class", "com/amazonaws/A.class"], [], id="both"),
        pytest.param(["com/amazonaws/A.class"], [], id="v1"),
        pytest.param(["BOOT-INF/lib/aws-java-sdk-core-1.12.705.jar"], [], id="v1-nested"),
        pytest.param(["A.class"], [], id="neither"),
    ],
)
def test_java(names: list[str], codes: list[str], tmp_path: Path) -> None:
    """A jar lists its classes and the jars in it."""
    jar = tmp_path / "tool.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    findings = sdk_findings(Path("/usr/bin/java"), ["java", "-jar", str(jar)], {})

    assert [one.code for one in findings] == codes


def test_no_jar(tmp_path: Path) -> None:
    """Nothing is known of what is damaged, missing or a folder."""
    (tmp_path / "folder.jar").mkdir()
    for jar in (make(tmp_path / "a.jar", b"PK"), tmp_path / "gone.jar", tmp_path / "folder.jar"):
        assert sdk_findings(Path("/usr/bin/java"), ["java", str(jar)], {}) == []
