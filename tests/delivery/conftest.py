"""Fixtures of the tests of delivery."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from otlp_backend import Certificate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Return a certificate that both back ends and clients can use."""
    return Certificate.make(tmp_path_factory.mktemp("certificate"))


_VARIABLES = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "GRPC_PROXY", "NO_GRPC_PROXY"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"),
)


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the developer's settings of proxies and authorities from the tests."""
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="session")
def hashed_folder(certificate: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the certificate under its hash, as OpenSSL looks for it, and a file beside it."""
    folder = tmp_path_factory.mktemp("hashed")
    subject = x509.load_pem_x509_certificate(certificate.text.encode()).subject.public_bytes()
    # Of a subject in lower case, as this one is, the hash is over its DER form without the outermost header.
    digest = hashlib.sha1(subject[2:], usedforsecurity=False).digest()
    (folder / f"{int.from_bytes(digest[:4], 'little'):08x}.0").write_text(certificate.text)
    (folder / "README").write_text("no certificate")
    return folder
