"""The server that an attempt went to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.spans.host import bucket_of, is_aws_host, server_attributes


@pytest.mark.parametrize(
    ("fqdn", "expected"),
    [
        pytest.param("s3.us-east-1.amazonaws.com", ("s3.us-east-1.amazonaws.com", 443), id="aws"),
        pytest.param("S3.Amazonaws.COM", ("s3.amazonaws.com", 443), id="lower-case"),
        pytest.param("sts.cn-north-1.amazonaws.com.cn", ("sts.cn-north-1.amazonaws.com.cn", 443), id="china"),
        pytest.param("lambda.us-east-1.api.aws", ("lambda.us-east-1.api.aws", 443), id="dual-stack"),
        pytest.param("s3.amazonaws.com:8443", ("s3.amazonaws.com", 8443), id="aws-with-a-port"),
        pytest.param("127.0.0.1:18080", ("127.0.0.1", 18080), id="port-as-botocore-sends-it"),
        pytest.param("sts.us-isof-south-1.csp.hci.ic.gov", ("sts.us-isof-south-1.csp.hci.ic.gov", 443), id="iso-f"),
        pytest.param("sqs.eu-isoe-west-1.cloud.adc-e.uk", ("sqs.eu-isoe-west-1.cloud.adc-e.uk", 443), id="iso-e"),
        pytest.param(
            "sqs.cn-north-1.api.amazonwebservices.com.cn",
            ("sqs.cn-north-1.api.amazonwebservices.com.cn", 443),
            id="china-dual-stack",
        ),
        pytest.param(
            "sqs.us-iso-east-1.api.aws.ic.gov", ("sqs.us-iso-east-1.api.aws.ic.gov", 443), id="iso-dual-stack"
        ),
        pytest.param("localhost", ("localhost", None), id="elsewhere-no-port-is-certain"),
        pytest.param("amazonaws.com.evil.example", ("amazonaws.com.evil.example", None), id="only-looks-like-aws"),
        pytest.param("notamazonaws.com", ("notamazonaws.com", None), id="ends-like-aws"),
        pytest.param("[::1]:8080", ("::1", 8080), id="ipv6-with-a-port"),
        pytest.param("[::1]", ("::1", None), id="ipv6-in-brackets"),
        pytest.param("::1", ("::1", None), id="ipv6"),
        pytest.param("user:pass@host:80", ("host", 80), id="credentials-of-a-url"),
        pytest.param("host:0", ("host", None), id="port-0"),
        pytest.param("host:65536", ("host", None), id="port-too-high"),
        pytest.param(f"host:{'4' * 5000}", ("host", None), id="port-too-long"),
    ],
)
def test_server(fqdn: str, expected: tuple[str, int | None]) -> None:
    """The host is in lower case and without its port; the port is as sent, or certain."""
    attributes = server_attributes(fqdn)

    assert (attributes["server.address"], attributes.get("server.port")) == expected


@pytest.mark.parametrize("fqdn", [None, "", ":80"], ids=["none", "empty", "port-alone"])
def test_no_server(fqdn: str | None) -> None:
    """Without a host there are no attributes (Go never sends one)."""
    assert server_attributes(fqdn) == {}


BUCKETS = {
    # Virtual-hosted style, and its older forms
    "b-1.s3.eu-west-1.amazonaws.com": "b-1",
    "b.1.x.s3.eu-west-1.amazonaws.com": "b.1.x",
    "b-1.s3.amazonaws.com": "b-1",
    "b-1.s3-us-west-2.amazonaws.com": "b-1",
    "b-1.s3-ap-southeast-1.amazonaws.com": "b-1",
    "b-1.s3-external-1.amazonaws.com": "b-1",
    "B-1.S3.eu-west-1.amazonaws.com:443": "b-1",
    "b-1.s3.eu-west-1.amazonaws.com.": "b-1",
    "jobs-123456789012-us-west-2-an.s3.us-west-2.amazonaws.com": "jobs-123456789012-us-west-2-an",
    # A bucket may be called like what follows it
    "b.s3.s3.eu-west-1.amazonaws.com": "b.s3",
    "b.s3.eu-west-1.s3.amazonaws.com": "b.s3.eu-west-1",
    "b.bucket.bucket.vpce-0a1b-2c3d.s3.us-east-1.vpce.amazonaws.com": "b.bucket",
    "control.bucket.vpce-0a1b-2c3d.s3.us-east-1.vpce.amazonaws.com": "control",
    "vpce-1.s3.eu-west-1.amazonaws.com": "vpce-1",
    "s3-control.s3.eu-west-1.amazonaws.com": "s3-control",
    # Dual-stack, FIPS, transfer acceleration
    "b-1.s3.dualstack.eu-west-1.amazonaws.com": "b-1",
    "b-1.s3-fips.us-gov-west-1.amazonaws.com": "b-1",
    "b-1.s3-fips-us-gov-west-1.amazonaws.com": "b-1",
    "b-1.s3-fips.dualstack.ca-central-1.amazonaws.com": "b-1",
    "b-1.s3-accelerate.amazonaws.com": "b-1",
    "b-1.s3-accelerate.dualstack.amazonaws.com": "b-1",
    "b-1.s3-accelerate.dualstack.us-east-1.amazonaws.com": "b-1",
    # Interface endpoints, of a region and of an availability zone
    "b-1.bucket.vpce-0a1b2c3d4e5f6a7b8-a1b2c3d4.s3.us-east-1.vpce.amazonaws.com": "b-1",
    "b.1.bucket.vpce-0a1b-2c3d-us-east-1a.s3.us-east-1.vpce.amazonaws.com": "b.1",
    "b-1.bucket.vpce-0a1b-2c3d.s3.cn-north-1.vpce.amazonaws.com.cn": "b-1",
    # Website endpoints
    "b-1.s3-website-us-east-1.amazonaws.com": "b-1",
    "www.example.org.s3-website.eu-central-1.amazonaws.com": "www.example.org",
    "b-1.s3-website.cn-northwest-1.amazonaws.com.cn": "b-1",
    # Directory buckets, in availability zones and local zones
    "b-1--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com": "b-1--use1-az4--x-s3",
    "b-1--use1-az4--x-s3.s3express-use1-az4.dualstack.us-east-1.amazonaws.com": "b-1--use1-az4--x-s3",
    "b-1--use1-az4--x-s3.s3express-fips-use1-az4.us-east-1.amazonaws.com": "b-1--use1-az4--x-s3",
    "b-1--usw2-lax1-az1--x-s3.s3express-usw2-lax1-az1.us-west-2.amazonaws.com": "b-1--usw2-lax1-az1--x-s3",
    # The other partitions
    "b-1.s3.cn-north-1.amazonaws.com.cn": "b-1",
    "b-1.s3.dualstack.cn-northwest-1.amazonaws.com.cn": "b-1",
    "b-1.s3.us-gov-east-1.amazonaws.com": "b-1",
    "b-1.s3.us-iso-east-1.c2s.ic.gov": "b-1",
    "b-1.s3.us-isob-east-1.sc2s.sgov.gov": "b-1",
    "b-1.s3.eu-isoe-west-1.cloud.adc-e.uk": "b-1",
    "b-1.s3.us-isof-south-1.csp.hci.ic.gov": "b-1",
    "b-1.s3.eusc-de-east-1.amazonaws.eu": "b-1",
    # LocalStack
    "b-1.s3.localhost.localstack.cloud:4566": "b-1",
    "b-1.s3.eu-west-1.localhost.localstack.cloud:4566": "b-1",
    "b-1.s3-website.localhost.localstack.cloud:4566": "b-1",
}
"""The documented host names of S3 that begin with a bucket."""

NO_BUCKETS = [
    # Path style
    "s3.eu-west-1.amazonaws.com",
    "s3.amazonaws.com",
    "s3-us-west-2.amazonaws.com",
    "s3-external-1.amazonaws.com",
    "s3.dualstack.eu-west-1.amazonaws.com",
    "s3-fips.dualstack.us-east-1.amazonaws.com",
    "s3-accelerate.amazonaws.com",
    "s3.cn-north-1.amazonaws.com.cn",
    "s3.us-iso-east-1.c2s.ic.gov",
    "s3.localhost.localstack.cloud:4566",
    "s3.eu-west-1.localhost.localstack.cloud:4566",
    "localhost.localstack.cloud:4566",
    # Interface endpoints
    "bucket.vpce-0a1b2c3d4e5f6a7b8-a1b2c3d4.s3.us-east-1.vpce.amazonaws.com",
    "bucket.vpce-0a1b-2c3d-us-east-1a.s3.us-east-1.vpce.amazonaws.com",
    "vpce-0a1b-2c3d.s3.us-east-1.vpce.amazonaws.com",
    "accesspoint.vpce-0a1b-2c3d.s3.us-east-1.vpce.amazonaws.com",
    "ap-1-123456789012.accesspoint.vpce-0a1b-2c3d.s3.us-east-1.vpce.amazonaws.com",
    "control.vpce-0a1b-2c3d.s3.us-east-1.vpce.amazonaws.com",
    "123456789012.control.vpce-0a1b-2c3d.s3.us-east-1.vpce.amazonaws.com",
    "bucket.vpce-0a1b-2c3d.sqs.us-east-1.vpce.amazonaws.com",
    "b-1.bucket.vpce-0a1b-2c3d.sqs.us-east-1.vpce.amazonaws.com",
    # Access points; by their alias they take the place of a bucket
    "ap-1-123456789012.s3-accesspoint.eu-west-1.amazonaws.com",
    "ap-1-123456789012.s3-accesspoint.dualstack.eu-west-1.amazonaws.com",
    "ap-1-123456789012.s3-accesspoint-fips.us-east-1.amazonaws.com",
    "ap-1-123456789012.s3-accesspoint-fips.dualstack.us-east-1.amazonaws.com",
    "ap-1-123456789012.s3-accesspoint.cn-north-1.amazonaws.com.cn",
    "ap-1-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias.s3.us-east-1.amazonaws.com",
    "ap-1-hrzrlukc5m36ft7okagglf3gmwluquse1b-ext-s3alias.s3.us-east-1.amazonaws.com",
    "ap-1-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias.bucket.vpce-0a1b-2c3d.s3.us-east-1.vpce.amazonaws.com",
    "ap-1--use1-az4--xa-s3.s3express-use1-az4.us-east-1.amazonaws.com",
    # Multi-region access points
    "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com",
    "mfzwi23gnjvgw.mrap.s3.us-east-1.amazonaws.com",
    # Object lambda
    "ap-1-123456789012.s3-object-lambda.us-east-1.amazonaws.com",
    "ap-1-123456789012.s3-object-lambda-fips.us-gov-east-1.amazonaws.com",
    "ap-1-o1a2b3c4d5e6f7g8h9i0j1k2l3m4nuse1a--ol-s3.s3.us-east-1.amazonaws.com",
    # Outposts
    "ap-1-123456789012.op-01234567890123456.s3-outposts.us-east-1.amazonaws.com",
    "ap-1-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3.op-01234567890123456.s3-outposts.us-east-1.amazonaws.com",
    "ap-1-e0000075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3.ec2.s3-outposts.us-east-1.amazonaws.com",
    "ap-1-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3.s3.us-east-1.amazonaws.com",
    # Control
    "123456789012.s3-control.eu-west-1.amazonaws.com",
    "123456789012.s3-control.dualstack.eu-west-1.amazonaws.com",
    "123456789012.s3-control-fips.us-east-1.amazonaws.com",
    "s3express-control.us-east-1.amazonaws.com",
    "b-1.s3express-control.us-east-1.amazonaws.com",
    "s3express-control.dualstack.us-east-1.amazonaws.com",
    # The storage of a table
    "63a8e430-6e0b-46f5-k833abtwr6s8tmtsycedn8s4yc3xhuse1b--table-s3.s3.us-east-1.amazonaws.com",
    "123456789012.s3tables.us-east-1.amazonaws.com",
    # No name of a bucket
    "b.s3.eu-west-1.amazonaws.com",
    "b..1.s3.eu-west-1.amazonaws.com",
    "-b-1.s3.eu-west-1.amazonaws.com",
    "b_1.s3.eu-west-1.amazonaws.com",
    f"{'b' * 64}.s3.eu-west-1.amazonaws.com",
    ".s3.eu-west-1.amazonaws.com",
    # Custom domains, other services, others' names
    "images.example.org",
    "b-1.s3.example.org",
    "b-1.localhost:4566",
    "b-1.s3.localhost:4566",
    "b-1.s3.eu-west-1.amazonaws.com.example.org",
    "b-1.s3.eu-west-1.notamazonaws.com",
    "sqs.eu-west-1.amazonaws.com",
    "127.0.0.1:9000",
    "",
]
"""Host names that S3 is called at, and that tell of no bucket."""


@pytest.mark.parametrize(("fqdn", "bucket"), BUCKETS.items())
def test_host_name_with_a_bucket(fqdn: str, bucket: str) -> None:
    """What is in front of S3's own name is the bucket."""
    assert bucket_of(fqdn) == bucket


@pytest.mark.parametrize("fqdn", [*NO_BUCKETS, None])
def test_host_name_without_a_bucket(fqdn: str | None) -> None:
    """An access point, an account, an endpoint or a domain is never taken for a bucket."""
    assert bucket_of(fqdn) is None


@pytest.mark.parametrize("unit", ["b.", "b.s3.", "s3express-", "-aa", "b.bucket.vpce-a.", "s3-fips-"])
def test_host_name_longer_than_any(unit: str) -> None:
    """A name that DNS does not allow has no bucket; nothing is searched in it."""
    assert bucket_of(f"{unit * 1000}b-1.s3.eu-west-1.amazonaws.com") is None


@given(st.text(max_size=80))
def test_any_host_name(fqdn: str) -> None:
    """No text makes it raise, and a port is always a port."""
    port = server_attributes(fqdn).get("server.port", 1)

    assert isinstance(port, int)
    assert 0 < port <= 65_535
    bucket_of(fqdn)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("s3.amazonaws.com", True), ("sqs.cn-north-1.amazonaws.com.cn", True), ("localhost", False), ("", False)],
)
def test_aws_host(host: str, expected: bool) -> None:  # ruff: ignore[boolean-type-hint-positional-argument]
    """A host of AWS is told by its domain."""
    assert is_aws_host(host) is expected
