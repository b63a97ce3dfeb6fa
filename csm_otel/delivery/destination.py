"""The destination of encoded requests: the settings of one OTLP back end."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

from csm_otel.delivery.this_machine import is_this_machine

Signal = Literal["traces", "metrics"]
Protocol = Literal["http/protobuf", "http/json", "grpc"]
Compression = Literal["none", "gzip", "deflate"]

_SHORTEST_SECRET = 4
_SHORTEST_LOOSE_SECRET = 8
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """One OTLP back end. Possible secrets are not in its repr."""

    url: str = field(repr=False)
    """With scheme http or https. For HTTP the full one with its path; for gRPC only scheme, host and port count.

    For gRPC also the name of a Unix socket: ``unix:PATH``, ``unix:///PATH`` or ``unix-abstract:NAME``.
    """
    protocol: Protocol = "http/protobuf"
    signal: Signal = "traces"
    """Part of an HTTP URL as well."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Names and values, ASCII."""
    timeout_seconds: float = 10.0
    """For one delivery."""
    compression: Compression = "none"
    certificate: str | None = field(default=None, repr=False)
    """Authorities to trust; like the two below a path, or the PEM text itself, as Jenkins gives it."""
    client_key: str | None = field(default=None, repr=False)
    client_certificate: str | None = field(default=None, repr=False)

    @property
    def shown(self) -> str:
        """The URL as it may be shown: without user, password and query."""
        if self._is_socket:
            return self.url
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def authority(self) -> str:
        """``host:port``, with the scheme's default port if none is given; of a Unix socket its name."""
        if self._is_socket:
            return self.url
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return host if parts.port is not None else f"{host.rstrip(':')}:{_DEFAULT_PORTS[parts.scheme]}"

    @property
    def is_secure(self) -> bool:
        """Whether TLS is used."""
        return urlsplit(self.url).scheme == "https"

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine, beyond the reach of any proxy."""
        return self._is_socket or is_this_machine(urlsplit(self.url).hostname or "")

    @property
    def _is_socket(self) -> bool:
        return self.url.startswith("unix")

    def without_secrets(self, text: str) -> str:
        """Return a text of the back end without what only it should know, in case it repeats headers or the URL.

        Found are also other cases, and long secrets with blanks or punctuation between or instead of their own. What
        the back end has encoded in some other way is not: a refusal, which is likely to do so, is never shown.
        """
        secrets = self._secrets()
        pattern = "|".join([*map(re.escape, secrets), *filter(None, map(_loosely, secrets))])
        return re.sub(pattern, "***", text, flags=re.IGNORECASE) if pattern else text

    def _secrets(self) -> list[str]:
        """Return the secrets, the longest first; the shortest values are none, and would hide words."""
        parts = urlsplit(self.url)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        values = [value for _, value in self.headers]
        values += [word for value in values for word in value.split()[1:]]  # without the scheme, as in "Bearer token"
        values += [text for value in values for text in _basic(value)]
        values += [pair.rpartition("=")[2] for pair in parts.query.split("&")]
        values += [parts.username or "", parts.password or "", user, password]
        values += [b64encode(f"{user}:{password}".encode()).decode()] if user or password else []
        values += [form for value in values for form in (unquote(value), quote(value, safe=""))]
        return sorted(
            {value for value in values if len(value) >= _SHORTEST_SECRET}, key=lambda value: (-len(value), value)
        )


def _loosely(secret: str) -> str:
    """Return a pattern of the letters and digits of a secret, whatever is between them; "" if they are few."""
    characters = [character for character in secret if character.isalnum()]
    return r"[\W_]*".join(characters) if len(characters) >= _SHORTEST_LOOSE_SECRET else ""


def _basic(value: str) -> list[str]:
    """Return user and password of a header value for basic authentication, together and each."""
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() != "basic":
        return []
    try:
        both = b64decode(encoded).decode("utf-8", "replace")
    except ValueError:
        return []
    user, _, password = both.partition(":")
    return [both, user, password]
