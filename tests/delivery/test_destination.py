"""The settings of a back end."""

from __future__ import annotations

import pytest

from csm_otel.delivery.destination import Destination


@pytest.mark.parametrize(
    ("url", "shown", "authority", "is_secure", "is_loopback"),
    [
        pytest.param(
            "http://localhost:4318/v1/traces",
            "http://localhost:4318/v1/traces",
            "localhost:4318",
            False,
            True,
            id="local",
        ),
        pytest.param("https://user:x@c.test/p?key=x", "https://c.test/p", "c.test:443", True, False, id="secrets"),
        pytest.param("http://c.test", "http://c.test", "c.test:80", False, False, id="no-port"),
        pytest.param("http://c.test:", "http://c.test:", "c.test:80", False, False, id="empty-port"),
        pytest.param("http://[::1]:4317", "http://[::1]:4317", "[::1]:4317", False, True, id="ipv6"),
        pytest.param("http://127.8.9.1", "http://127.8.9.1", "127.8.9.1:80", False, True, id="loopback-network"),
        pytest.param("unix:///o.sock", "unix:///o.sock", "unix:///o.sock", False, True, id="socket"),
        pytest.param("unix:o.sock", "unix:o.sock", "unix:o.sock", False, True, id="socket-of-the-folder"),
        pytest.param("http://127.evil.test", "http://127.evil.test", "127.evil.test:80", False, False, id="looks-so"),
    ],
)
def test_properties_of_the_url(url: str, shown: str, authority: str, *, is_secure: bool, is_loopback: bool) -> None:
    """A URL is shown without secrets, and gives host, port, TLS and whether it is on this machine."""
    destination = Destination(url=url)
    assert (shown, authority, is_secure, is_loopback) == (
        destination.shown,
        destination.authority,
        destination.is_secure,
        destination.is_loopback,
    )


def test_its_repr_holds_no_secret() -> None:
    """The repr of a destination has no header, key or URL."""
    destination = Destination(
        url="http://user:hunter2@c.test",
        headers=(("x", "hunter2"),),
        certificate="hunter2",
        client_key="hunter2",
        client_certificate="hunter2",
    )
    assert "hunter2" not in repr(destination)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Bearer hunter2 is unknown", "*** is unknown", id="header"),
        pytest.param("hunter2 is unknown", "*** is unknown", id="without-scheme"),
        pytest.param("no Bearer token", "no Bearer token", id="scheme"),
        pytest.param("pa%2Fss or pa/ss of somebody", "*** or *** of ***", id="url"),
        pytest.param("api-key a-key, 1", "api-key ***, 1", id="query"),
        pytest.param("BEARER HUNTER2 is unknown", "*** is unknown", id="upper-case"),
        pytest.param("Bearer  hunter2 or bearer\nhunter2", "*** or ***", id="other-blanks"),
        pytest.param("a long/secret or a-long-secret or ALongSecret", "*** or *** or ***", id="other-punctuation"),
        pytest.param(r"a \"long\" secret", "***", id="escaped"),
        pytest.param("A%20%22long%22%20secret", "***", id="percent-encoded"),
        pytest.param("no Ali Baba, sesame", "no ***, ***", id="basic-decoded"),
        pytest.param("c29tZWJvZHk6cGEvc3M= is unknown", "*** is unknown", id="basic-encoded"),
        pytest.param("", "", id="empty"),
    ],
)
def test_a_text_without_secrets(text: str, expected: str) -> None:
    """Values of headers, user, password and query are hidden; names, schemes and short values are not."""
    destination = Destination(
        url="http://somebody:pa%2Fss@c.test/p?api-key=a-key&v=1",
        headers=(
            ("authorization", "Bearer hunter2"),
            ("x", "1"),
            ("y", 'a "long" secret'),
            ("proxy-authorization", "Basic QWxpIEJhYmE6c2VzYW1l"),
        ),
    )
    assert destination.without_secrets(text) == expected


def test_odd_basic_credentials_spoil_nothing() -> None:
    """A value that is not base64 is hidden as it is."""
    destination = Destination(url="http://c.test", headers=(("authorization", "Basic hunter2"),))
    assert destination.without_secrets("hunter2") == "***"
    assert Destination(url="http://c.test").without_secrets("no such tenant") == "no such tenant"
