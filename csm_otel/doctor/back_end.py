"""Check the OTLP back end: deliver one request to it, and compare its clock with ours."""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from csm_otel.delivery.deliverer import open_deliverer
from csm_otel.delivery.outcome import Delivered
from csm_otel.doctor.finding import Checked, Finding
from csm_otel.doctor.variables import settings_findings
from csm_otel.errors import SettingsError

if TYPE_CHECKING:
    from csm_otel.delivery.destination import Destination
    from csm_otel.delivery.outcome import Outcome

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_SKEW_SECONDS = 300.0  # traces are searched by the last minutes, and AWS rejects signatures of 5 minutes ago
_LOST = "Spans are not stored: `serve` keeps them until its queue is full, `exec` until its deadline."
# The code and the advice for each reason of a delivery that failed; the first that fits.
_REASONS: tuple[tuple[str, str, str], ...] = (
    (r"proxy (?:http|socks|of the environment)", "otlp-proxy", ""),
    (
        r"TLS failed|CERTIFICATE",
        "otlp-tls",
        "set OTEL_EXPORTER_OTLP_CERTIFICATE to its authority, or correct the scheme",
    ),
    (
        r"OTEL_EXPORTER_OTLP_PROTOCOL|not HTTP|HTTP 415",
        "otlp-protocol",
        "set OTEL_EXPORTER_OTLP_PROTOCOL to grpc for port 4317, to http/protobuf for port 4318",
    ),
    (r"HTTP 40[13]|UNAUTHENTICATED|PERMISSION_DENIED", "otlp-unauthorized", "correct OTEL_EXPORTER_OTLP_HEADERS"),
    (
        r"HTTP 40[45]|UNIMPLEMENTED|web page|redirects",
        "otlp-path",
        f"correct {_ENDPOINT}; /v1/traces is appended to it",
    ),
    (r"no answer within", "otlp-timeout", f"check {_ENDPOINT} and firewalls, or raise OTEL_EXPORTER_OTLP_TIMEOUT"),
    (
        r"refused|resolved|closed|not a host|unreachable|failed",
        "otlp-unreachable",
        f"start the back end, or correct {_ENDPOINT}",
    ),
)
_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy", "all_proxy")
_OTHER = "otlp-refused", "read the log of the back end"


def check_back_end(destination: Destination | None, request: bytes, *, timeout_seconds: float) -> Checked:
    """Deliver a request, which may be empty, and return the findings about the answer."""
    if destination is None:
        return Checked(
            "back end", "no endpoint is set: `exec` prints its trace, `serve` sends to http://localhost:4318"
        )
    warnings: list[str] = []
    try:
        with contextlib.closing(open_deliverer(destination, say=warnings.append)) as deliverer:
            outcome = deliverer.deliver(request, timeout_seconds=min(timeout_seconds, destination.timeout_seconds))
    except SettingsError as error:
        return Checked("back end", "not asked", tuple(settings_findings(error.faults)))
    why = "Other authorities than these are trusted."
    findings = [Finding("authorities-missing", line, why, "correct or unset that variable") for line in warnings]
    findings += _outcome_findings(outcome)
    where = f"{destination.shown} over {destination.protocol}{_way_to(destination)}"
    sent = "a canary span" if request else "an empty request"
    state = f"{where} accepted {sent}" if isinstance(outcome, Delivered) and not findings else where
    return Checked("back end", state, tuple(findings))


def check_clock(destination: Destination | None, *, now: float, timeout_seconds: float) -> Checked:
    """Compare the Date of the back end's HTTP answers with ``now``, in epoch seconds."""
    date = _date_of(destination, timeout_seconds) if destination is not None else None
    if date is None:
        return Checked("clock", "not compared: the back end gives no date")
    skew = round(now - date)
    state = f"{abs(skew)} s {'ahead of' if skew > 0 else 'behind'} the back end's"
    if abs(skew) <= _SKEW_SECONDS:
        return Checked("clock", state)
    finding = Finding(
        "clock-skew",
        f"the clock of this machine is {state}",
        "Spans appear at the wrong time, or are rejected; AWS rejects signatures that are 5 minutes off.",
        "sudo timedatectl set-ntp true",
    )
    return Checked("clock", state, (finding,))


def _outcome_findings(outcome: Outcome) -> list[Finding]:
    if isinstance(outcome, Delivered):
        if not outcome.rejected_spans:
            return []
        what = f"the back end rejected the canary span: {outcome.message or 'without a reason'}"
        return [Finding("otlp-rejected", what, "It rejects spans that it understands.", _OTHER[1])]
    found = ((code, fix) for pattern, code, fix in _REASONS if re.search(pattern, outcome.reason))
    code, fix = next(found, _OTHER)
    return [Finding(code, outcome.reason, _LOST, fix or _fix_of_proxy())]


def _fix_of_proxy() -> str:
    names = [name for one in _PROXIES for name in (one, one.upper()) if os.environ.get(name)]
    return f"correct {' and '.join(names) or 'the proxy'}, or name the back end in NO_PROXY"


def _way_to(destination: Destination) -> str:
    """Return the proxy that is used for a destination, in a few words; "" without one."""
    if destination.protocol == "grpc":
        from csm_otel.delivery.grpc import proxies_of  # ruff: ignore[import-outside-top-level] - as open_deliverer

        proxy, unused = proxies_of(destination)
    else:
        from csm_otel.delivery.http import proxy_of  # ruff: ignore[import-outside-top-level]

        proxy, unused = proxy_of(destination), ""
    return f" through the proxy {proxy.shown}" if proxy else unused


def _date_of(destination: Destination, timeout_seconds: float) -> float | None:
    """Return the time of an HTTP answer without a body, in epoch seconds; None where there is none to be had.

    Only of a back end over HTTP without a proxy in between, which might answer itself; without headers of ours.
    """
    if destination.protocol == "grpc":
        return None
    parts = urlsplit(destination.url)
    connect = http.client.HTTPSConnection if destination.is_secure else http.client.HTTPConnection
    try:
        with contextlib.closing(connect(parts.hostname or "", parts.port, timeout=timeout_seconds)) as connection:
            connection.request("HEAD", "/")
            date = connection.getresponse().headers.get("Date", "")
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (OSError, ValueError, http.client.HTTPException):
        return None
