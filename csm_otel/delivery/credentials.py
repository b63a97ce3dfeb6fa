"""TLS files of a destination: paths, whether the settings give a path or the PEM text itself."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from csm_otel.errors import Fault, SettingsError, reason_of

if TYPE_CHECKING:
    from csm_otel.delivery.destination import Destination

_CERTIFICATE = "OTEL_EXPORTER_OTLP_CERTIFICATE"
_CLIENT_KEY = "OTEL_EXPORTER_OTLP_CLIENT_KEY"
_CLIENT_CERTIFICATE = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"


class Credentials:
    """Paths to the PEM files of a destination, each checked to be usable.

    PEM text is kept in a private temporary folder until `close`. The paths of a destination without TLS are None.

    Raises:
        SettingsError: a file cannot be read or is not what it should be.
    """

    certificate: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    """Equal to ``client_certificate`` where one file holds both."""

    def __init__(self, destination: Destination) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if not destination.is_secure:
            return
        try:
            self.certificate = self._path(destination.certificate, _CERTIFICATE)
            self.client_certificate = self._path(destination.client_certificate, _CLIENT_CERTIFICATE)
            self.client_key = self._path(destination.client_key, _CLIENT_KEY) or self.client_certificate
            self._check()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Remove the temporary files."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _path(self, value: str | None, name: str) -> Path | None:
        if not value:
            return None
        if "-----BEGIN" not in value:
            return Path(value)
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="csm-otel-")  # mode 0700
        path = Path(self._folder.name, name)
        path.write_text(value, encoding="utf-8")
        return path

    def _check(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.certificate:
            try:
                context.load_verify_locations(cafile=self.certificate)
            except OSError as error:
                raise SettingsError([Fault(_CERTIFICATE, _why(error, "no PEM certificate in it"))]) from error
        if self.client_key and not self.client_certificate:
            raise SettingsError([Fault(_CLIENT_KEY, f"needs {_CLIENT_CERTIFICATE} as well")])
        if self.client_certificate:
            try:
                # With a password, even an empty one, OpenSSL does not prompt for that of an encrypted key.
                context.load_cert_chain(self.client_certificate, self.client_key, password="")
            except OSError as error:
                why = _why(error, "no certificate with its unencrypted key, in PEM")
                raise SettingsError([Fault(f"{_CLIENT_CERTIFICATE}, {_CLIENT_KEY}", why)]) from error


def _why(error: OSError, otherwise: str) -> str:
    return otherwise if isinstance(error, ssl.SSLError) else reason_of(error, otherwise)
