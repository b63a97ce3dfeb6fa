"""Folders of Python packages in, codes of findings out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from doctor.package_files import codes_of, make

from csm_otel.doctor.python_packages import sdk_of_python, site_packages


@pytest.mark.parametrize(
    ("files", "name", "codes"),
    [
        pytest.param(
            ["botocore/monitoring.py", "botocore-1.44.5.dist-info/METADATA"],
            "botocore 1.44.5 has CSM",
            [],
            id="botocore",
        ),
        pytest.param(
            ["botocore/__init__.py", "botocore-1.9.0.dist-info/METADATA"],
            "botocore 1.9.0 of {python} has no CSM",
            ["sdk-too-old"],
            id="old-botocore",
        ),
        pytest.param([], "", ["sdk-not-found"], id="none"),
    ],
)
def test_python(files: list[str], name: str, codes: list[str], tmp_path: Path) -> None:
    """The packages are those of the interpreter's virtual environment."""
    make(tmp_path / "pyvenv.cfg")
    python = make(tmp_path / "bin/python3")
    for file in files:
        make(tmp_path / "lib/python3.11/site-packages" / file)
    sdk = sdk_of_python(python, Path("script.py"), "", {})

    assert (sdk.name, codes_of(sdk)) == (name.format(python=python), codes)


def test_this_python() -> None:
    """The packages of a real environment are found."""
    assert any((folder / "botocore").is_dir() for folder in site_packages(Path(sys.executable), {}))


@pytest.mark.parametrize(
    ("source", "codes"),
    [
        pytest.param("import boto\n", ["sdk-without-csm"], id="boto-2"),
        pytest.param("def f():\n  from boto.s3 import connect\n", ["sdk-without-csm"], id="boto-2-below"),
        pytest.param("from aws_sdk_bedrock_runtime.client import X\n", ["sdk-without-csm"], id="smithy"),
        pytest.param("import boto3, sys\nimport aws_sdk_x\n", [], id="smithy-and-boto3"),
        pytest.param("import boto3\n", [], id="boto3"),
        pytest.param("print 'import boto'\n", [], id="python-2"),
    ],
)
def test_imports(source: str, codes: list[str], tmp_path: Path) -> None:
    """The script's imports are read; botocore may be in a folder of PYTHONPATH."""
    make(tmp_path / "more/botocore/monitoring.py")
    sdk = sdk_of_python(tmp_path / "bin/python3", tmp_path / "a.py", source, {"PYTHONPATH": f"{tmp_path}/more"})

    assert codes_of(sdk) == codes


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
    assert codes_of(sdk_of_python(tmp_path / "bin/python3", tmp_path / "a.py", source, {})) == codes


def test_the_cli(tmp_path: Path) -> None:
    """The AWS CLI contains its own botocore."""
    make(tmp_path / "lib/python3.11/site-packages/awscli/botocore/monitoring.py")
    sdk = sdk_of_python(tmp_path / "bin/python3", tmp_path / "bin/aws", "import awscli.clidriver\n", {})

    assert sdk == ("the AWS CLI has CSM", ())


def test_user_packages(tmp_path: Path) -> None:
    """Packages that a user has installed are found, but not by a virtual environment."""
    make(tmp_path / ".local/lib/python3.11/site-packages/botocore/monitoring.py")
    environ = {"HOME": str(tmp_path)}

    assert not codes_of(sdk_of_python(tmp_path / "usr/bin/python3", None, "", environ))
    make(tmp_path / "usr/pyvenv.cfg", b"include-system-site-packages = false")
    assert codes_of(sdk_of_python(tmp_path / "usr/bin/python3", None, "", environ))
