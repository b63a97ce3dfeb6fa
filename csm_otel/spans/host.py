"""The server of an attempt, from its host name: ``server.*``, and the bucket of an S3 host."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT

if TYPE_CHECKING:
    from csm_otel.spans.data import AttributeValue

# The DNS suffixes of the partitions, and those of their dual-stack endpoints: botocore's data/partitions.json.
_PARTITIONS = r"amazonaws\.com(?:\.cn)?|amazonaws\.eu|c2s\.ic\.gov|sc2s\.sgov\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov"
_AWS_DOMAIN = re.compile(
    rf"(?:^|\.)(?:{_PARTITIONS}|api\.aws|on\.aws|api\.amazonwebservices\.(?:com\.cn|eu)|api\.aws\.ic\.gov"
    r"|api\.aws\.scloud|api\.cloud-aws\.adc-e\.uk|api\.aws\.hci\.ic\.gov)\.?$"
)
_REGION = r"[a-z]{2,}(?:-[a-z]+)+-\d+"
# S3's own names that follow a bucket. Those of access points (s3-accesspoint, s3-global, s3-outposts, s3-object-lambda)
# and of control endpoints (s3-control, s3express-control) do not.
_S3 = rf"""(?:
    s3 (?: -accelerate | -external-1 | -{_REGION} | -(?:fips|website) (?:-{_REGION})? )?
    | s3express (?:-fips)? -[a-z0-9-]+-az\d+
)"""
# The bucket is greedy, as its name may contain anything that follows it. An interface endpoint (PrivateLink) has a name
# for each kind of resource: bucket, accesspoint, control. LocalStack's host names are those of AWS in its own domain.
_VIRTUAL_HOSTED = re.compile(
    rf"""(?P<bucket>.+) \.
    (?: {_S3} (?:\.dualstack)? (?:\.{_REGION})? | bucket\.vpce-[a-z0-9-]+ \.{_S3} \.{_REGION} \.vpce )
    \. (?: {_PARTITIONS} | localhost\.localstack\.cloud ) \.?""",
    re.VERBOSE,
)
# S3's naming rules; names with these suffixes are access points or tables that take the place of a bucket.
_BUCKET_NAME = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_NO_BUCKET_SUFFIXES = ("-s3alias", "--ol-s3", "--op-s3", "--xa-s3", "--table-s3", ".mrap")
_MAX_HOST_NAME = 254  # RFC 1035: 255 octets on the wire, here with a final dot
_HTTPS_PORT = 443
_MAX_PORT = 65_535
_PORT_DIGITS = 6  # enough to be above the highest port


def server_attributes(fqdn: str | None) -> dict[str, AttributeValue]:
    """Return ``server.address`` (lower case, no port) and ``server.port`` if it was sent or is certain."""
    host, port = split_host(fqdn or "")
    if not host:
        return {}
    if port is None and is_aws_host(host):
        port = _HTTPS_PORT
    return {SERVER_ADDRESS: host} if port is None else {SERVER_ADDRESS: host, SERVER_PORT: port}


def is_aws_host(host: str) -> bool:
    """Return whether a host name, in lower case, is under a domain of AWS, in any partition."""
    return _AWS_DOMAIN.search(host) is not None


def bucket_of(fqdn: str | None) -> str | None:
    """Return the bucket of a virtual-hosted S3 host name of AWS or LocalStack, or None.

    A custom domain has none: whether its first label is a bucket cannot be told.
    """
    host = split_host(fqdn or "")[0]
    found = _VIRTUAL_HOSTED.fullmatch(host) if len(host) <= _MAX_HOST_NAME else None
    if found is None or found["bucket"].endswith(_NO_BUCKET_SUFFIXES):
        return None
    return found["bucket"] if _BUCKET_NAME.fullmatch(found["bucket"]) else None


@lru_cache(maxsize=1024)
def split_host(fqdn: str) -> tuple[str, int | None]:
    """Return the host, in lower case, and the port of a host name as sent; credentials of a URL are dropped."""
    netloc = fqdn.rpartition("@")[2].lower()
    host, colon, port = netloc.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or (":" in host and not host.endswith("]")):
        return netloc.strip("[]"), None
    number = int(port[:_PORT_DIGITS])  # int() refuses thousands of digits
    return host.strip("[]"), number if 0 < number <= _MAX_PORT else None
