"""The certificate authorities to trust where no setting of OTLP names any: those of the system (`authorities_of`).

Source: OpenTelemetry configuration schema, "ca_file": without it, the verification of the platform is used. On Linux
that is OpenSSL's, with its variables. The HTTP and gRPC libraries in use trust bundles of their own instead, unless
variables of theirs name another; those win here, too.
"""

from __future__ import annotations

import os
import re
import ssl
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.errors import Fault, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from csm_otel.delivery.destination import Protocol

_NO_CERTIFICATE = "no PEM certificate in it"
_BEGIN = b" CERTIFICATE-----"  # the labels of RFC 7468, 5 and the older ones that OpenSSL reads
_HTTP_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")  # of requests, in its order
_GRPC_VARIABLE = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")  # the names that OpenSSL looks for in a folder


class Authorities(NamedTuple):
    """Where certificates of authorities are; neither: in the bundle of the library in use."""

    file: str = ""
    """In PEM."""
    folders: str = ""
    """With hashed names, as `openssl rehash` makes them; several as in PATH."""
    variable: str = ""
    """The variable of the library in use that names them, if any."""
    faults: tuple[Fault, ...] = ()
    """Variables that name what is not there, each with its text for the operator."""

    def pem(self) -> bytes | None:
        """Return the certificates, each once, or None if there are none that can be read."""
        text = b""
        for path in ([Path(self.file)] if self.file else []) + list(_hashed_in(self.folders)):
            try:
                found = path.read_bytes().strip()
            except OSError:
                continue
            text += b"" if found in text else found + b"\n"
        return text or None


def authorities_of(protocol: Protocol, environ: Mapping[str, str] = os.environ) -> Authorities:
    """Return the authorities for a protocol's library.

    A bundle named for requests that is not there stays the one to use, as for requests itself: it may be meant to trust
    less. gRPC and OpenSSL do without one.
    """
    faults: tuple[Fault, ...] = ()
    if protocol == "grpc":
        if path := environ.get(_GRPC_VARIABLE):
            faults = _faults_of(_GRPC_VARIABLE, path)
            if not faults:
                return Authorities(file=path, variable=_GRPC_VARIABLE)
    else:
        for variable in _HTTP_VARIABLES:
            if path := environ.get(variable):
                if _are_folders(path):
                    return Authorities(folders=path, variable=variable)
                return Authorities(file=path, variable=variable, faults=_faults_of(variable, path))
    system = _system(environ)
    return system._replace(faults=(*faults, *system.faults))


def _system(environ: Mapping[str, str]) -> Authorities:
    """Return the file and the folders that OpenSSL would use: of each the variable's, else the default."""
    paths = ssl.get_default_verify_paths()
    faults: tuple[Fault, ...] = ()
    file = environ.get(paths.openssl_cafile_env)
    if file:
        faults += _faults_of(paths.openssl_cafile_env, file)
        file = "" if faults else file
    else:
        file = _default_file(paths.openssl_cafile)
    folders = environ.get(paths.openssl_capath_env)
    if folders and not _are_folders(folders):
        faults += (Fault(paths.openssl_capath_env, "no such folder"),)
        folders = ""
    elif not folders and any(_hashed_in(paths.openssl_capath)):
        folders = paths.openssl_capath
    return Authorities(file, folders or "", faults=faults)


def _default_file(path: str) -> str:
    try:
        return path if Path(path).stat().st_size else ""
    except OSError:
        return ""


def _faults_of(variable: str, path: str) -> tuple[Fault, ...]:
    """Return what is wrong with a file; to parse a bundle of the system would take hundredths of a second."""
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):  # to read a named pipe might never end
            return (Fault(variable, "not a regular file"),)
        has_certificate = _BEGIN in Path(path).read_bytes()
    except OSError as error:
        return (Fault(variable, reason_of(error)),)
    return () if has_certificate else (Fault(variable, _NO_CERTIFICATE),)


def _are_folders(folders: str) -> bool:
    return any(Path(folder).is_dir() for folder in folders.split(os.pathsep) if folder)


def _hashed_in(folders: str) -> Iterator[Path]:
    for folder in filter(None, folders.split(os.pathsep)):
        try:
            yield from sorted(path for path in Path(folder).iterdir() if _HASHED.fullmatch(path.name))
        except OSError:
            continue
