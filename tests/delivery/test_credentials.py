"""Certificates and keys, as paths or as PEM text."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from otlp_backend import Certificate
from platforms import on_linux

from csm_otel.delivery.credentials import Credentials
from csm_otel.delivery.destination import Destination
from csm_otel.errors import SettingsError

_NO_PAIR = "no certificate with its unencrypted key, in PEM"
_PAIR = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE, OTEL_EXPORTER_OTLP_CLIENT_KEY"


def _credentials(url: str = "https://127.0.0.1:1", **settings: Any) -> Credentials:
    return Credentials(Destination(url=url, **settings))


def test_paths_are_used_as_they_are(certificate: Certificate) -> None:
    """A path is passed on, so that a replaced file is read again."""
    own, key = str(certificate.path), str(certificate.key_path)
    credentials = _credentials(certificate=own, client_certificate=own, client_key=key)
    assert (own, own, key) == tuple(
        map(str, (credentials.certificate, credentials.client_certificate, credentials.client_key))
    )


def test_one_file_may_hold_certificate_and_key(certificate: Certificate) -> None:
    """Without a key setting the key is searched in the client's certificate."""
    credentials = _credentials(client_certificate=certificate.text + certificate.key_text)
    assert credentials.client_key == credentials.client_certificate
    credentials.close()


def _texts(certificate: Certificate) -> Credentials:
    return _credentials(
        certificate=certificate.text.replace("\n", "\\n"),  # as in an env file
        client_certificate=certificate.text,
        client_key=certificate.key_text,
    )


def _paths(credentials: Credentials) -> list[Path]:
    paths = (credentials.certificate, credentials.client_certificate, credentials.client_key)
    return [path for path in paths if path is not None]


@on_linux
def test_text_is_kept_in_memory(certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PEM text needs no folder: until it is closed it is in memory, under a path that any library can read."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    credentials = _texts(certificate)
    paths = _paths(credentials)
    assert [certificate.text, certificate.text, certificate.key_text] == [path.read_text() for path in paths]
    credentials.close()
    assert not [path for path in paths if path.exists()]


def test_text_is_kept_in_a_folder(certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without such memory PEM text is in a folder for its owner only, which is removed at the end."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delattr(os, "memfd_create", raising=False)
    credentials = _texts(certificate)
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    assert [certificate.text, certificate.text, certificate.key_text] == [
        path.read_text() for path in _paths(credentials)
    ]
    credentials.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_there", [False, True], ids=["no-memory", "memory-without-proc"])
def test_no_place_for_text(
    certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_there: bool
) -> None:
    """Where neither memory nor folder can keep a text, the line names its variable, and says that a path would do."""
    if is_there:
        monkeypatch.setattr(os, "memfd_create", lambda _name: os.open(os.devnull, os.O_RDONLY), raising=False)
        monkeypatch.setattr(Path, "write_bytes", _refuse)
    else:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(SettingsError) as caught:
        _texts(certificate)
    expected = "OTEL_EXPORTER_OTLP_CERTIFICATE: no temporary folder for its text can be written; give a path"
    assert expected == str(caught.value)


def _refuse(_path: Path, _data: bytes) -> int:
    raise FileNotFoundError


def test_openssl_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration of OpenSSL that leaves no ciphers, as one for another program may, is a fault at the start."""

    def fail(_protocol: int) -> None:
        raise ssl.SSLError(1, "library has no ciphers")

    monkeypatch.setattr(ssl, "SSLContext", fail)
    with pytest.raises(SettingsError, match=r"^OPENSSL_CONF: TLS is impossible with OpenSSL's configuration$"):
        _credentials()


def test_without_tls_nothing_is_read() -> None:
    """A certificate for a plain URL is not even read."""
    credentials = _credentials("http://127.0.0.1:1", certificate="/no/such/file")
    assert (credentials.certificate, credentials.client_certificate, credentials.client_key) == (None, None, None)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param(
            {"certificate": "/no/such/file"},
            "OTEL_EXPORTER_OTLP_CERTIFICATE: no such file or directory",
            id="no-file",
        ),
        pytest.param(
            {"certificate": "-----BEGIN CERTIFICATE-----\nhunter2"},
            "OTEL_EXPORTER_OTLP_CERTIFICATE: no PEM certificate in it",
            id="no-certificate",
        ),
        pytest.param(
            {"certificate": "-----BEGIN CERTIFICATE-----\udcff"},
            "OTEL_EXPORTER_OTLP_CERTIFICATE: no PEM certificate in it",
            id="no-text",
        ),
        pytest.param(
            {"client_key": "OWN KEY"},
            "OTEL_EXPORTER_OTLP_CLIENT_KEY: needs OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE as well",
            id="key-alone",
        ),
        pytest.param({"client_certificate": "OWN"}, f"{_PAIR}: {_NO_PAIR}", id="certificate-alone"),
        pytest.param({"client_certificate": "OWN", "client_key": "OTHER KEY"}, f"{_PAIR}: {_NO_PAIR}", id="no-pair"),
        pytest.param({"client_certificate": "OWN", "client_key": "LOCKED KEY"}, f"{_PAIR}: {_NO_PAIR}", id="encrypted"),
        pytest.param(
            {"client_certificate": "OWN", "client_key": "/no/such/key"},
            f"{_PAIR}: no such file or directory",
            id="no-key-file",
        ),
    ],
)
def test_unusable_credentials_are_one_line(
    certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], expected: str
) -> None:
    """Each fault is reported at start with the variable's name, nothing of the content, and leaves no file."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    texts = {
        "OWN": certificate.text,
        "OWN KEY": certificate.key_text,
        "OTHER KEY": Certificate.make(tmp_path).key_text,
        "LOCKED KEY": _locked(certificate),
    }
    with pytest.raises(SettingsError) as caught:
        _credentials(**{name: texts.get(value, value) for name, value in settings.items()})
    assert expected == str(caught.value)
    assert list(folder.iterdir()) == []


def _locked(certificate: Certificate) -> str:
    key = serialization.load_pem_private_key(certificate.key_text.encode(), None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hunter2"),
    ).decode()
