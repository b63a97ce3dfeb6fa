"""The server that an attempt went to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csm_otel.spans.host import bucket_of, server_attributes


@pytest.mark.parametrize(
    ("fqdn", "expected"),
    [
        pytest.param("s3.us-east-1.amazonaws.com", ("s3.us-east-1.amazonaws.com", 443), id="aws"),
        pytest.param("S3.Amazonaws.COM", ("s3.amazonaws.com", 443), id="lower-case"),
        pytest.param("sts.cn-north-1.amazonaws.com.cn", ("sts.cn-north-1.amazonaws.com.cn", 443), id="china"),
        pytest.param("lambda.us-east-1.api.aws", ("lambda.us-east-1.api.aws", 443), id="dual-stack"),
        pytest.param("s3.amazonaws.com:8443", ("s3.amazonaws.com", 8443), id="aws-with-a-port"),
        pytest.param("127.0.0.1:18080", ("127.0.0.1", 18080), id="port-as-botocore-sends-it"),
        pytest.param("localhost", ("localhost", None), id="elsewhere-no-port-is-certain"),
        pytest.param("amazonaws.com.evil.example", ("amazonaws.com.evil.example", None), id="only-looks-like-aws"),
        pytest.param("notamazonaws.com", ("notamazonaws.com", None), id="ends-like-aws"),
        pytest.param("[::1]:8080", ("::1", 8080), id="ipv6-with-a-port"),
        pytest.param("[::1]", ("::1", None), id="ipv6-in-brackets"),
        pytest.param("::1", ("::1", None), id="ipv6"),
        pytest.param("user:pass@host:80", ("host", 80), id="credentials-of-a-url"),
        pytest.param("host:0", ("host", None), id="port-0"),
        pytest.param("host:65536", ("host", None), id="port-too-high"),
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


@pytest.mark.parametrize(
    ("fqdn", "bucket"),
    [
        pytest.param("my-bucket.s3.amazonaws.com", "my-bucket", id="global"),
        pytest.param("my-bucket.s3.eu-west-1.amazonaws.com", "my-bucket", id="regional"),
        pytest.param("my-bucket.s3-us-west-2.amazonaws.com", "my-bucket", id="dash"),
        pytest.param("my.dotted.bucket.s3.eu-west-1.amazonaws.com", "my.dotted.bucket", id="dots"),
        pytest.param("my-bucket.s3.dualstack.eu-west-1.amazonaws.com", "my-bucket", id="dual-stack"),
        pytest.param("my-bucket.s3-fips.us-gov-west-1.amazonaws.com", "my-bucket", id="fips"),
        pytest.param("my-bucket.s3-accelerate.amazonaws.com", "my-bucket", id="accelerate"),
        pytest.param("my-bucket.s3.cn-north-1.amazonaws.com.cn", "my-bucket", id="china"),
        pytest.param(
            "my--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com", "my--use1-az4--x-s3", id="express"
        ),
        pytest.param("MY-BUCKET.s3.amazonaws.com:443", "my-bucket", id="case-and-port"),
        pytest.param("s3.amazonaws.com", None, id="path-style"),
        pytest.param("s3.eu-west-1.amazonaws.com", None, id="path-style-regional"),
        pytest.param("ap-1234.s3-accesspoint.eu-west-1.amazonaws.com", None, id="access-point"),
        pytest.param("123456789012.s3-control.eu-west-1.amazonaws.com", None, id="control"),
        pytest.param("my-bucket.s3.minio.example", None, id="not-aws"),
        pytest.param("my-bucket.localhost:4566", None, id="local"),
        pytest.param("sqs.eu-west-1.amazonaws.com", None, id="another-service"),
        pytest.param(None, None, id="none"),
    ],
)
def test_bucket(fqdn: str | None, bucket: str | None) -> None:
    """The bucket is read off AWS's virtual-hosted names only."""
    assert bucket_of(fqdn) == bucket


@given(st.text(max_size=80))
def test_any_host_name(fqdn: str) -> None:
    """No text makes it raise, and a port is always a port."""
    port = server_attributes(fqdn).get("server.port", 1)

    assert isinstance(port, int)
    assert 0 < port <= 65_535
    bucket_of(fqdn)
