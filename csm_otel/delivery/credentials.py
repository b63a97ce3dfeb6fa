"""TLS files of a destination: paths, whether the settings give a path or the PEM text itself."""

from __future__ import annotations

import contextlib
import os
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

    PEM text is kept until `close`: in memory where the system gives that a path (Linux), else in a private temporary
    folder. The paths of a destination without TLS are None.

    Raises:
        SettingsError: a file cannot be read or is not what it should be, or there is no temporary folder for a text.
    """

    certificate: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    """Equal to ``client_certificate`` where one file holds both."""

    def __init__(self, destination: Destination) -> None:
        self._kept = contextlib.ExitStack()
        self._folder: Path | None = None
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
        self._kept.close()

    def _path(self, value: str | None, name: str) -> Path | None:
        if not value:
            return None
        if "-----BEGIN" not in value:
            return Path(value)
        # An env file cannot hold line breaks, so they are often written as in a string of a programming language.
        text = value.replace("\\n", "\n").encode("utf-8", "surrogateescape")
        try:
            return self._in_memory(text, name) or self._in_folder(text, name)
        except OSError as error:
            why = "no temporary folder for its text can be written; give a path"
            raise SettingsError([Fault(name, why)]) from error

    def _in_memory(self, text: bytes, name: str) -> Path | None:
        """Return the path of a file without a place in any file system, or None where there is no such thing."""
        with contextlib.suppress(AttributeError, OSError), contextlib.ExitStack() as undo:
            descriptor = os.memfd_create(name)
            undo.callback(os.close, descriptor)
            path = Path(f"/proc/self/fd/{descriptor}")
            path.write_bytes(text)
            self._kept.push(undo.pop_all())
            return path
        return None

    def _in_folder(self, text: bytes, name: str) -> Path:
        """Return the path of a temporary file.

        Raises:
            OSError: it cannot be written.
        """
        if self._folder is None:
            self._folder = Path(self._kept.enter_context(tempfile.TemporaryDirectory(prefix="csm-otel-")))  # mode 0700
        path = self._folder / name
        path.write_bytes(text)
        return path

    def _check(self) -> None:
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        except ssl.SSLError as error:  # as without the providers that the configuration had to name
            raise SettingsError([Fault("OPENSSL_CONF", "TLS is impossible with OpenSSL's configuration")]) from error
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
