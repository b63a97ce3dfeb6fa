"""The server of an attempt, from its host name: ``server.*``, and the bucket of an S3 host."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT

if TYPE_CHECKING:
    from csm_otel.spans.data import AttributeValue

_AWS_DOMAIN = re.compile(
    r"(?:^|\.)(?:amazonaws\.com(?:\.cn)?|amazonaws\.eu|api\.aws|on\.aws|c2s\.ic\.gov|sc2s\.sgov\.gov)$"
)
# bucket.s3.amazonaws.com, bucket.s3-us-west-2.amazonaws.com, bucket.s3.dualstack.eu-west-1.amazonaws.com,
# bucket.s3-fips.us-gov-west-1.amazonaws.com, bucket.s3-accelerate.amazonaws.com, and S3 Express' zonal hosts; access
# points and S3 control have no bucket
_BUCKET = re.compile(
    r"(?P<bucket>[a-z0-9][a-z0-9.-]*[a-z0-9])\.s3(?!-(?:accesspoint|control|object-lambda|outposts)\b)"
    r"(?:express-[a-z0-9-]+|[.-][a-z0-9-]+)*?(?:\.[a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?"
)
_HTTPS_PORT = 443
_MAX_PORT = 65_535


def server_attributes(fqdn: str | None) -> dict[str, AttributeValue]:
    """Return ``server.address`` (lower case, no port) and ``server.port`` if it was sent or is certain."""
    host, port = split_host(fqdn or "")
    if not host:
        return {}
    if port is None and _AWS_DOMAIN.search(host):
        port = _HTTPS_PORT
    return {SERVER_ADDRESS: host} if port is None else {SERVER_ADDRESS: host, SERVER_PORT: port}


def bucket_of(fqdn: str | None) -> str | None:
    """Return the bucket of a virtual-hosted S3 host name of AWS, or None."""
    found = _BUCKET.fullmatch(split_host(fqdn or "")[0])
    return found["bucket"] if found else None


@lru_cache(maxsize=1024)
def split_host(fqdn: str) -> tuple[str, int | None]:
    """Return the host, in lower case, and the port of a host name as sent; credentials of a URL are dropped."""
    netloc = fqdn.rpartition("@")[2].lower()
    host, colon, port = netloc.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or (":" in host and not host.endswith("]")):
        return netloc.strip("[]"), None
    return host.strip("[]"), int(port) if 0 < int(port) <= _MAX_PORT else None
