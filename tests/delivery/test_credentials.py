"""Certificates and keys, as paths or as PEM text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from otlp_backend import Certificate

from csm_otel.delivery.credentials import Credentials
from csm_otel.delivery.destination import Destination
from csm_otel.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

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
