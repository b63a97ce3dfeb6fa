"""Ports, hosts and client ids that crash, silence or misdirect an SDK."""

from __future__ import annotations

import pytest

from csm_otel.doctor.values import client_id_findings, host_findings, port_findings, token_findings


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("31000", "", id="the-daemon's"),
        pytest.param("31001", "csm-port-differs", id="another"),
        pytest.param("abc", "csm-port-invalid", id="word"),
        pytest.param("", "csm-port-invalid", id="empty"),
        pytest.param("99999", "csm-port-invalid", id="too-large"),
        pytest.param("0", "csm-port-invalid", id="zero"),
        pytest.param(" 31000", "csm-port-invalid", id="blank"),
        pytest.param("-1", "csm-port-invalid", id="negative"),
        pytest.param("٣١", "csm-port-invalid", id="other-digits"),
        pytest.param("9" * 5000, "csm-port-invalid", id="endless"),
    ],
)
def test_port(text: str, code: str) -> None:
    """A port is one that the daemon listens on."""
    assert [one.code for one in port_findings("AWS_CSM_PORT", text, 31_000)] == ([code] if code else [])


@pytest.mark.parametrize(
    ("host", "code"),
    [
        pytest.param("", "", id="empty"),
        pytest.param("127.0.0.1", "", id="loopback"),
        pytest.param("LocalHost", "", id="localhost"),
        pytest.param("0.0.0.0", "", id="unspecified"),
        pytest.param("::1", "csm-host-ipv6", id="ipv6"),
        pytest.param("10.0.0.1", "csm-host-remote", id="remote"),
        pytest.param("known.test", "csm-host-remote", id="name"),
        pytest.param("unknown.test", "csm-host-unresolvable", id="unknown-name"),
        pytest.param("a\x1b[31m", "csm-host-unresolvable", id="control-characters"),
    ],
)
def test_host(host: str, code: str) -> None:
    """A host is an IPv4 address of loopback."""
    findings = host_findings("AWS_CSM_HOST", host, lambda name: name == "known.test")

    assert [one.code for one in findings] == ([code] if code else [])
    assert all(one.what.isprintable() for one in findings)


@pytest.mark.parametrize(("length", "code"), [(0, ""), (255, ""), (256, "csm-client-id-too-long")])
def test_client_id(length: int, code: str) -> None:
    """The longest id has 255 characters; it is not shown."""
    findings = client_id_findings("AWS_CSM_CLIENT_ID", "x" * length)

    assert [one.code for one in findings] == ([code] if code else [])
    assert not any("xx" in text for one in findings for text in one)


@pytest.mark.parametrize(("length", "code"), [(0, ""), (6500, ""), (6501, "session-token-too-long")])
def test_token(length: int, code: str) -> None:
    """A token leaves room for the rest of a datagram of 8 KiB."""
    assert [one.code for one in token_findings("AWS_SESSION_TOKEN", length)] == ([code] if code else [])
