"""The authorities to trust, by the variables of the system and of the libraries."""

from __future__ import annotations

import os
import ssl
from itertools import starmap
from typing import TYPE_CHECKING

import pytest
from otlp_backend import Certificate

from csm_otel.delivery.authorities import Authorities, authorities_of
from csm_otel.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from csm_otel.delivery.destination import Protocol

_HTTP: Protocol = "http/protobuf"
_NONE = "/no/such/path"
_NO_FILE = "no such file or directory"
_NO_CERTIFICATE = "no PEM certificate in it"


pytestmark = pytest.mark.usefixtures("system")


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give the system a store of its own, empty at first: a file ``cert.pem`` and a folder ``certs``."""
    folder = tmp_path / "system"
    folder.mkdir()
    names = ("SSL_CERT_FILE", str(folder / "cert.pem"), "SSL_CERT_DIR", str(folder / "certs"))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: ssl.DefaultVerifyPaths("", "", *names))
    return folder


@pytest.fixture
def paths(certificate: Certificate, hashed_folder: Path, tmp_path: Path) -> dict[str, str]:
    """Return the paths that the tables below name by words."""
    page = tmp_path / "page.pem"
    page.write_text("<html>")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    own = {"FILE": str(certificate.path), "FOLDER": str(hashed_folder)}
    return {**own, "PAGE": str(page), "PIPE": str(pipe), "NONE": _NONE}


@pytest.mark.parametrize(
    ("environ", "file", "folders", "faults"),
    [
        pytest.param({}, "", "", {}, id="none"),
        pytest.param({"SSL_CERT_FILE": ""}, "", "", {}, id="empty"),
        pytest.param({"SSL_CERT_FILE": "FILE"}, "FILE", "", {}, id="file"),
        pytest.param({"SSL_CERT_DIR": "FOLDER"}, "", "FOLDER", {}, id="folder"),
        pytest.param({"SSL_CERT_DIR": f"{_NONE}:FOLDER"}, "", f"{_NONE}:FOLDER", {}, id="folders"),
        pytest.param({"SSL_CERT_FILE": "FILE", "SSL_CERT_DIR": "FOLDER"}, "FILE", "FOLDER", {}, id="both"),
        pytest.param({"SSL_CERT_FILE": "NONE"}, "", "", {"SSL_CERT_FILE": _NO_FILE}, id="no-file"),
        pytest.param({"SSL_CERT_FILE": "PAGE"}, "", "", {"SSL_CERT_FILE": _NO_CERTIFICATE}, id="no-pem"),
        pytest.param({"SSL_CERT_FILE": "PIPE"}, "", "", {"SSL_CERT_FILE": "not a regular file"}, id="pipe"),
        pytest.param(
            {"SSL_CERT_FILE": "FOLDER"}, "", "", {"SSL_CERT_FILE": "not a regular file"}, id="no-file-but-folder"
        ),
        pytest.param({"SSL_CERT_DIR": "NONE"}, "", "", {"SSL_CERT_DIR": "no such folder"}, id="no-folder"),
        pytest.param(
            {"SSL_CERT_FILE": "NONE", "SSL_CERT_DIR": "FOLDER"},
            "",
            "FOLDER",
            {"SSL_CERT_FILE": _NO_FILE},
            id="one-of-both",
        ),
        pytest.param(
            {"SSL_CERT_FILE": "NONE", "SSL_CERT_DIR": "NONE"},
            "",
            "",
            {"SSL_CERT_FILE": _NO_FILE, "SSL_CERT_DIR": "no such folder"},
            id="none-of-both",
        ),
    ],
)
@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
def test_the_variables_of_the_system(
    protocol: Protocol,
    environ: Mapping[str, str],
    file: str,
    folders: str,
    faults: Mapping[str, str],
    paths: Mapping[str, str],
) -> None:
    """OpenSSL's variables hold for any protocol; one that names nothing is reported, and passed by."""
    chosen = authorities_of(protocol, _filled(environ, paths))
    expected = list(starmap(Fault, faults.items()))
    assert chosen == Authorities(_fill(file, paths), _fill(folders, paths), "", tuple(expected))


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_variable_may_name_the_default_in_vain(protocol: Protocol, system: Path) -> None:
    """It is reported, and passed by, as any other path."""
    environ = {"SSL_CERT_FILE": str(system / "cert.pem")}
    assert authorities_of(protocol, environ) == Authorities(faults=(Fault("SSL_CERT_FILE", _NO_FILE),))


@pytest.mark.parametrize(
    ("protocol", "environ", "file", "folders", "variable", "faults"),
    [
        pytest.param(_HTTP, {"REQUESTS_CA_BUNDLE": "FILE"}, "FILE", "", "REQUESTS_CA_BUNDLE", (), id="requests"),
        pytest.param(_HTTP, {"REQUESTS_CA_BUNDLE": "FOLDER"}, "", "FOLDER", "REQUESTS_CA_BUNDLE", (), id="folder"),
        pytest.param(_HTTP, {"CURL_CA_BUNDLE": "FILE"}, "FILE", "", "CURL_CA_BUNDLE", (), id="curl"),
        pytest.param(
            _HTTP,
            {"CURL_CA_BUNDLE": "PAGE", "REQUESTS_CA_BUNDLE": "FILE", "SSL_CERT_DIR": "FOLDER"},
            "FILE",
            "",
            "REQUESTS_CA_BUNDLE",
            (),
            id="requests-wins",
        ),
        pytest.param(
            _HTTP,
            {"REQUESTS_CA_BUNDLE": "NONE", "SSL_CERT_FILE": "FILE"},
            "NONE",
            "",
            "REQUESTS_CA_BUNDLE",
            (Fault("REQUESTS_CA_BUNDLE", _NO_FILE),),
            id="no-file-is-not-passed-by",
        ),
        pytest.param(
            _HTTP,
            {"CURL_CA_BUNDLE": "PAGE"},
            "PAGE",
            "",
            "CURL_CA_BUNDLE",
            (Fault("CURL_CA_BUNDLE", _NO_CERTIFICATE),),
            id="no-pem",
        ),
        pytest.param(_HTTP, {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": "FILE"}, "", "", "", (), id="grpc-s-for-http"),
        pytest.param("grpc", {"REQUESTS_CA_BUNDLE": "FILE", "CURL_CA_BUNDLE": "FILE"}, "", "", "", (), id="and-back"),
        pytest.param(
            "grpc",
            {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": "FILE", "SSL_CERT_DIR": "FOLDER"},
            "FILE",
            "",
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
            (),
            id="grpc",
        ),
        pytest.param(
            "grpc",
            {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": "NONE", "SSL_CERT_DIR": "FOLDER"},
            "",
            "FOLDER",
            "",
            (Fault("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", _NO_FILE),),
            id="grpc-no-file",
        ),
    ],
)
def test_the_variables_of_a_library(
    protocol: Protocol,
    environ: Mapping[str, str],
    file: str,
    folders: str,
    variable: str,
    faults: tuple[Fault, ...],
    paths: Mapping[str, str],
) -> None:
    """The library in use is given what its own variables name, before the system's."""
    chosen = authorities_of(protocol, _filled(environ, paths))
    assert chosen == Authorities(_fill(file, paths), _fill(folders, paths), variable, faults)


def test_the_store_of_the_system(system: Path, certificate: Certificate, hashed_folder: Path) -> None:
    """Without variables it is the file and the folder of OpenSSL, where they have certificates."""
    file, folder = system / "cert.pem", system / "certs"
    file.touch()
    folder.mkdir()
    assert authorities_of(_HTTP, {}) == Authorities()
    file.write_text(certificate.text)
    for path in hashed_folder.iterdir():
        (folder / path.name).symlink_to(path)
    assert authorities_of(_HTTP, {}) == Authorities(str(file), str(folder))
    chosen = authorities_of(_HTTP, {"SSL_CERT_FILE": str(hashed_folder / "README")})
    assert (chosen.file, chosen.folders) == ("", str(folder))


def test_certificates_as_text(certificate: Certificate, hashed_folder: Path, tmp_path: Path) -> None:
    """File and folders are read, each certificate once, and nothing else in the folders."""
    other = Certificate.make(tmp_path)
    (tmp_path / "0a1b2c3d.0").write_text(other.text)
    folders = os.pathsep.join([_NONE, str(hashed_folder), str(tmp_path)])
    both = certificate.text.encode() + other.text.encode()
    assert Authorities(str(certificate.path), folders).pem() == both
    assert Authorities("", folders).pem() == both
    assert Authorities(_NONE, _NONE).pem() is None
    assert Authorities().pem() is None


def _filled(environ: Mapping[str, str], paths: Mapping[str, str]) -> dict[str, str]:
    return {name: _fill(value, paths) for name, value in environ.items()}


def _fill(text: str, paths: Mapping[str, str]) -> str:
    return os.pathsep.join(paths.get(word, word) for word in text.split(os.pathsep))
