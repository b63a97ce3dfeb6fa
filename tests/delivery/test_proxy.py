"""The proxy of a variable, and what of it may be shown."""

from __future__ import annotations

import pytest

from csm_otel.delivery.proxy import Proxy, is_excepted

_SCHEMES = ("http", "https")
_NO_URL = "not a URL like http://proxy:3128"


@pytest.mark.parametrize(
    ("value", "url", "shown", "fault"),
    [
        pytest.param("http://proxy:3128", "http://proxy:3128", "http://proxy:3128", "", id="url"),
        pytest.param("https://proxy", "https://proxy", "https://proxy", "", id="no-port"),
        pytest.param("proxy:3128", "http://proxy:3128", "http://proxy:3128", "", id="no-scheme"),
        pytest.param("u:p@proxy:1", "http://u:p@proxy:1", "http://proxy:1", "", id="no-scheme-user"),
        pytest.param("//proxy:3128", "http://proxy:3128", "http://proxy:3128", "", id="empty-scheme"),
        pytest.param(" http://proxy:1\n", "http://proxy:1", "http://proxy:1", "", id="blanks-around"),
        pytest.param("http://[::1]:1/", "http://[::1]:1/", "http://[::1]:1", "", id="ipv6"),
        pytest.param("http://u:p%2Fx@proxy:1/x?y", "http://u:p%2Fx@proxy:1/x?y", "http://proxy:1", "", id="password"),
        pytest.param("http://u:p@x@proxy:1", "http://u:p@x@proxy:1", "http://proxy:1", "", id="password-with-at"),
        pytest.param("http://u:1/x@proxy:1", "http://u:1/x@proxy:1", "of the environment", _NO_URL, id="slash"),
        pytest.param("http://u:1#x@proxy:1", "http://u:1#x@proxy:1", "of the environment", _NO_URL, id="hash"),
        pytest.param("http://a:1\\@b:2", "http://a:1\\@b:2", "of the environment", _NO_URL, id="backslash"),
        pytest.param("http://", "http://", "of the environment", _NO_URL, id="no-host"),
        pytest.param("http://[", "http://[", "of the environment", _NO_URL, id="half-an-address"),
        pytest.param("http://a b:1", "http://a b:1", "of the environment", _NO_URL, id="blank"),
        pytest.param("http://proxy:99999", "http://proxy:99999", "of the environment", _NO_URL, id="port-too-high"),
        pytest.param("http://proxy:0", "http://proxy:0", "of the environment", _NO_URL, id="port-0"),
        pytest.param("socks5h://u:p@h:1", "socks5h://u:p@h:1", "socks5h://h:1", "SOCKS is not supported", id="socks"),
        pytest.param("SOCKS4a://h", "SOCKS4a://h", "socks4a://h", "SOCKS is not supported", id="other-socks"),
        pytest.param("ftp://h", "ftp://h", "ftp://h", "only http and https proxies are supported", id="scheme"),
    ],
)
def test_values_of_a_variable(value: str, url: str, shown: str, fault: str) -> None:
    """A value without a scheme is a URL for HTTP; user and password are not shown, nor is what may be part of them."""
    proxy = Proxy.of(value, schemes=_SCHEMES)
    assert (url, shown, fault) == tuple(proxy)
    assert repr(proxy) == f"Proxy({shown!r}, {fault!r})"


def test_lines_about_a_failure() -> None:
    """One blames the proxy, the other says that it was on the way."""
    proxy = Proxy.of("http://user:hunter2@proxy:3128", schemes=_SCHEMES)
    assert (
        proxy.blamed("connection refused", "http://c/") == "connection refused: proxy http://proxy:3128, for http://c/"
    )
    assert proxy.passed("http://c/") == "http://c/, through the proxy http://proxy:3128"


_NO_PROXY = " .internal, example.com ,Other.Example, 192.0.2.0/24,198.51.100.7,2001:db8::/32,::2,[::4],[::5]:4317,2.7,\
198.51.100.8:4317,named.example:4317"


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        pytest.param("collector.internal:4317", True, id="domain"),
        pytest.param("internal:4317", True, id="domain-itself"),
        pytest.param("a.example.com:4317", True, id="below-a-name"),
        pytest.param("EXAMPLE.com:4317", True, id="upper-case-host"),
        pytest.param("other.example:4317", True, id="upper-case-entry"),
        pytest.param("badexample.com:4317", False, id="part-of-a-label"),
        pytest.param("example.com.evil:4317", False, id="beginning"),
        pytest.param("named.example:4317", True, id="with-port"),
        pytest.param("named.example:4318", False, id="other-port"),
        pytest.param("192.0.2.200:4317", True, id="network"),
        pytest.param("192.0.3.1:4317", False, id="other-network"),
        pytest.param("198.51.100.7:4317", True, id="address"),
        pytest.param("198.51.100.8:4317", True, id="address-with-port"),
        pytest.param("198.51.100.8:4318", False, id="address-with-other-port"),
        pytest.param("198.51.2.7:4317", False, id="end-of-an-address"),
        pytest.param("[::4]:4317", True, id="ipv6-in-brackets"),
        pytest.param("[::5]:4317", True, id="ipv6-with-port"),
        pytest.param("[::5]:4318", False, id="ipv6-with-other-port"),
        pytest.param("[2001:db8::7]:4317", True, id="ipv6-network"),
        pytest.param("[::2]:4317", True, id="ipv6-address"),
        pytest.param("[::3]:4317", False, id="other-ipv6-address"),
    ],
)
def test_no_proxy(authority: str, *, expected: bool) -> None:
    """Entries are names with all below them, with or without a port, addresses and networks."""
    assert is_excepted(authority, _NO_PROXY) is expected


@pytest.mark.parametrize(("no_proxy", "expected"), [("*", True), ("a,*", True), ("", False), (" , ", False)])
def test_no_proxy_for_any_or_none(no_proxy: str, *, expected: bool) -> None:
    """An asterisk excepts all, an empty entry nothing."""
    assert is_excepted("collector.example:4317", no_proxy) is expected
