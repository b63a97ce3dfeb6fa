"""Findings about one value of CSM, wherever it was set: the port, the host and the client id."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from csm_otel.doctor.finding import Finding
from csm_otel.errors import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

_LARGEST_PORT = 65_535
_PORT_DIGITS = 5
_LONGEST_CLIENT_ID = 255  # botocore: monitoring.py, _validate_client_id
_LONGEST_TOKEN = 6_500  # of the 8,192 bytes of a datagram; names, user agent and messages take up to 1.5 kB
DEFAULT_PORT = 31_000
"""Of all SDKs."""


def port_findings(where: str, text: str, port: int) -> list[Finding]:
    """Return the findings about a port; ``where`` names the variable or the key of a file, ``port`` is the daemon's."""
    digits = text.strip()
    if not text:
        why = "boto3 raises ValueError when it makes a client; other SDKs send to port 31000."
    elif not (digits.isascii() and digits.isdecimal()):
        why = (
            "boto3 raises ValueError when it makes a client, Go fails when it makes a session; JavaScript sends to "
            "port 31000, Ruby to port 0; PHP and Java switch CSM off or ignore the value."
        )
    elif digits != text:
        why = "Java sends nothing, because of the blanks around it."
    elif len(digits.lstrip("0")) > _PORT_DIGITS or not 1 <= int(digits) <= _LARGEST_PORT:
        why = (
            "JavaScript ends the whole process (ERR_SOCKET_BAD_PORT), Go fails when it makes a session, Java raises "
            "when it makes a client; boto3 and Ruby lose every datagram silently, and C++ sends to another port."
        )
    elif int(digits) != port:
        return [
            Finding(
                "csm-port-differs",
                f"{where} is {int(digits)}, but the daemon's port is {port}",
                "Datagrams go to a port where the daemon does not listen.",
                f"unset {where}, or run: csm-otel serve --port {int(digits)}",
            )
        ]
    else:
        return []
    return [Finding("csm-port-invalid", f"{where} is not a port: {quoted(text)}", why, f"unset {where}")]


def host_findings(where: str, host: str, resolves: Callable[[str], bool]) -> list[Finding]:
    """Return the findings about a host; ``resolves`` tells whether a name has an IPv4 address."""
    if host.lower() in ("", "localhost"):
        return []
    unset = f"unset {where}, or set it to 127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if resolves(host):
            return [_remote(where, host)]
        why = (
            "boto3, JavaScript and PHP send nothing, without a word, and boto3 looks the name up for each datagram; "
            "with Ruby every API call raises SocketError; Go fails when it makes a session, Java when it makes "
            "a client."
        )
        return [Finding("csm-host-unresolvable", f"{where} cannot be resolved: {quoted(host)}", why, unset)]
    if address.version == 6:  # ruff: ignore[magic-value-comparison]
        why = (
            "boto3, JavaScript and PHP send over IPv4 only: they lose every datagram silently. "
            "With Ruby every API call raises SocketError."
        )
        return [Finding("csm-host-ipv6", f"{where} is an IPv6 address: {address}", why, unset)]
    return [] if address.is_loopback or address.is_unspecified else [_remote(where, host)]


def client_id_findings(where: str, client_id: str) -> list[Finding]:
    """Return the findings about a client id, which is not shown."""
    if len(client_id) <= _LONGEST_CLIENT_ID:
        return []
    return [
        Finding(
            "csm-client-id-too-long",
            f"{where} has {len(client_id)} characters",
            "boto3 raises ValueError when it makes a client; most other SDKs cut the id.",
            f"shorten {where} to at most {_LONGEST_CLIENT_ID} characters",
        )
    ]


def token_findings(where: str, length: int) -> list[Finding]:
    """Return the findings about a session token of so many characters."""
    if length <= _LONGEST_TOKEN:
        return []
    return [
        Finding(
            "session-token-too-long",
            f"{where} has {length} characters",
            "SDKs send it with each attempt, and boto3, JavaScript and Java drop datagrams of more than 8,192 bytes: "
            "calls appear without their attempts.",
            "use credentials with a shorter token: fewer or shorter session tags and policies",
        )
    ]


def _remote(where: str, host: str) -> Finding:
    return Finding(
        "csm-host-remote",
        f"{where} is another host, or a name: {quoted(host)}",
        "Datagrams hold session tokens in clear text and would cross the network with them; "
        "for a name, some SDKs look it up for each datagram.",
        f"unset {where}, and run csm-otel on each host",
    )
