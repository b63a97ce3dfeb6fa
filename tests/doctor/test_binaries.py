"""Compiled programs in, codes of findings out."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctor.package_files import codes_of, make

from csm_otel.doctor.binaries import sdk_of_binary

GO = b"x github.com/aws/aws-sdk-go/aws/session x"
GO_CSM = b"x github.com/aws/aws-sdk-go/aws/csm.Start x"
GO_V2 = b"x github.com/aws/aws-sdk-go-v2/aws x"


@pytest.mark.parametrize(
    ("content", "name", "codes"),
    [
        pytest.param(GO + GO_CSM, "the AWS SDK for Go v1 has CSM", [], id="go-v1"),
        pytest.param(GO_V2 + GO + GO_CSM, "the AWS SDK for Go v1 has CSM", [], id="both"),
        pytest.param(GO, "the AWS SDK for Go v1 has no CSM", ["sdk-too-old"], id="old"),
        pytest.param(b"github.com/aws/aws-sdk-go/aws/endpoints", "", [], id="without-calls"),
        pytest.param(GO_V2, "the AWS SDK for Go v2 has no CSM", ["sdk-without-csm"], id="go-v2"),
        pytest.param(
            b"x" * (1024**2 - 8) + GO_V2,
            "the AWS SDK for Go v2 has no CSM",
            ["sdk-without-csm"],
            id="two-reads",
        ),
        pytest.param(b"x aws-smithy-runtime x", "the AWS SDK for Rust has no CSM", ["sdk-without-csm"], id="rust"),
        pytest.param(b"AWSClientRuntime", "the AWS SDK for Swift has no CSM", ["sdk-without-csm"], id="swift"),
        pytest.param(b"libaws-cpp-sdk-core.so", "the AWS SDK for C++ has CSM", [], id="cpp"),
        pytest.param(b"", "", [], id="none"),
    ],
)
def test_binary(content: bytes, name: str, codes: list[str], tmp_path: Path) -> None:
    """A compiled program contains the names of its packages."""
    sdk = sdk_of_binary(make(tmp_path / "tool", content))

    assert (sdk.name, codes_of(sdk)) == (name, codes)


def test_bound(tmp_path: Path) -> None:
    """No more than the bound is read; nothing is known of what cannot be read."""
    assert not sdk_of_binary(make(tmp_path / "tool", b"x" * 1024**2 + GO_CSM), 1024**2).name
    assert not sdk_of_binary(Path("/nowhere/tool")).name
