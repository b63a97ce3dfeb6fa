"""The SDKs' own CSM cases: what a client does, and the monitoring events expected of it.

They are third-party and not part of the project: `CSM_CONFORMANCE_DIR` names their folder. A case's events hold
wildcards (``ANY_STR``, ``ANY_INT``, PHP's ``ANY``), which `datagrams` fills with a real sender's values.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.packed import Recorded

from csm_otel.csm.events import Peer

if TYPE_CHECKING:
    from collections.abc import Mapping

Case = dict[str, Any]

FOLDER = Path(os.environ.get("CSM_CONFORMANCE_DIR") or Path(__file__).parents[3] / "shared" / "conformance")
MISSING = "" if FOLDER.is_dir() else "CSM_CONFORMANCE_DIR names no folder with the third-party cases of the AWS SDKs"
"""Why there are no cases; empty if there are."""

SDK_EXCEPTION = "TransportError"
"""The value for the wildcard of an SDK's own exception; its message is never a wildcard."""
PEER_ADDRESS = "192.0.2.7"
DNS_MS = 3

USER_AGENTS = {
    "botocore": "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux lang/python#3.11.7",
    "aws-sdk-js": "aws-sdk-nodejs/2.1693.0 linux/v20.20.2 promise",
    "aws-sdk-php": "aws-sdk-php/3.70.0 GuzzleHttp/6.3.3 curl/7.61.0 PHP/7.2.9",
}
_FILES = {
    "botocore": "cases.json",
    "aws-sdk-js": "cases.json",
    "aws-sdk-php": "client_side_monitoring.json",
}
_PHP_FIRST_KEYS = ("Api", "ClientId", "Region", "Service", "Timestamp", "UserAgent", "Version")
_START_MS = 1_700_000_000_000
_SERIALIZING_MS, _ATTEMPT_MS, _BACK_OFF_MS = 2, 40, 60
_NS_PER_MS = 1_000_000


def cases(sdk: str) -> list[Case]:
    """Return the cases of an SDK, in the order of their file."""
    loaded: list[Case] = json.loads((FOLDER / sdk / _FILES[sdk]).read_text(encoding="utf-8"))["cases"]
    return loaded


def ruby_datagrams() -> list[bytes]:
    """Return the literal datagrams of the Ruby SDK's publisher spec: three pairs of a call and an attempt."""
    path = FOLDER / "aws-sdk-ruby" / "publisher_spec_datagrams.jsonl"
    return [json.loads(line)["datagram"].encode() for line in path.read_text(encoding="utf-8").splitlines()]


def datagrams(sdk: str, case: Case) -> list[Recorded]:
    """Return the expected events of a case as datagrams, each received at its end."""
    at_ms = _START_MS + _SERIALIZING_MS
    sent = []
    for event in case["expectedMonitoringEvents"]:
        if event["Type"] == "ApiCallAttempt":
            times: dict[str, float] = {"Timestamp": at_ms, "AttemptLatency": _ATTEMPT_MS}
            end_ms = at_ms + _ATTEMPT_MS
            at_ms = end_ms + _BACK_OFF_MS
        else:
            end_ms = at_ms - _BACK_OFF_MS
            times = {"Timestamp": _START_MS, "Latency": end_ms - _START_MS}
        if sdk == "aws-sdk-php":
            times["Timestamp"] += 0.25  # the releases of 2018 send fractions
        payload = json.dumps(_in_php_order(sdk, _filled(event, {**times, "UserAgent": USER_AGENTS[sdk]}))).encode()
        sent.append(Recorded(payload, Peer("127.0.0.1", 40_000), end_ms * _NS_PER_MS, ""))
    return sent


def _filled(event: Mapping[str, Any], times: Mapping[str, Any]) -> dict[str, Any]:
    values = {**times, "SdkException": SDK_EXCEPTION, "FinalSdkException": SDK_EXCEPTION, "DnsLatency": DNS_MS,
              "DestinationIp": PEER_ADDRESS}  # fmt: skip
    wildcards = {"ANY_STR", "ANY_INT", "ANY"}
    return {key: values[key] if value in wildcards else value for key, value in event.items()}


def _in_php_order(sdk: str, event: dict[str, Any]) -> dict[str, Any]:
    """Sort a PHP event's keys in the SDK's order, not the file's: it identifies a call without a user agent."""
    first = _PHP_FIRST_KEYS if sdk == "aws-sdk-php" else ()
    return {**{key: event[key] for key in first if key in event}, **event}
