"""Datagrams as each SDK writes them: its keys and their order, its user agent, its escaping.

Source of the key orders and agents: the SDKs' own code and the captured datagrams.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from csm_otel.csm.events import Dialect

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE_MS = 1_795_458_108_000
"""Start of the default datagrams, in epoch milliseconds."""

ABSENT = object()
"""A value that removes its key from a default datagram."""

AGENTS: Mapping[Dialect, str] = {
    Dialect.BOTOCORE: "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.1 lang/python#3.11.7 Botocore/1.44.5",
    Dialect.CPP: "aws-sdk-cpp/1.11.900 ua/2.1 api/S3 os/Linux#6.1 lang/c++#C++11 md/http#curl",
    Dialect.DOTNET: "aws-sdk-dotnet-coreclr/3.7.100.0 aws-sdk-dotnet-core/3.7.100.0 .NET_Core/6.0",
    Dialect.GO: "aws-sdk-go/1.55.6 (go1.19.8; linux; amd64)",
    Dialect.JAVA: "aws-sdk-java/1.12.705 Linux/6.1 OpenJDK_64-Bit_Server_VM/17.0.15 java/17.0.15",
    Dialect.JS: "aws-sdk-nodejs/2.1693.0 linux/v20.20.2 promise",
    Dialect.PHP: "aws-sdk-php/3.376.2 ua/2.1 OS/Linux#6.1 lang/php#8.2.36 GuzzleHttp/7",
    Dialect.RUBY: "aws-sdk-ruby3/3.211.0 ua/2.1 api/s3#1.169.0 os/linux lang/ruby#3.1.7",
    Dialect.UNKNOWN: "SomethingElse/1.0",
}
PHP_CALL_AGENT = " GuzzleHttp/7"
"""The user agent of PHP's calls, with its leading space."""

TOKEN = "IQoJb3JpZ2luX2VjEPTOKENTOKEN" + "0123456789abcdefGHIJ" * 20
"""An invented session token of 428 characters."""


class _Keys(NamedTuple):
    call: str
    attempt: str


_FINAL = "FinalAwsException FinalAwsExceptionMessage FinalSdkException FinalSdkExceptionMessage"
_ERRORS = "AwsException AwsExceptionMessage SdkException SdkExceptionMessage"
_IDS = "XAmznRequestId XAmzRequestId XAmzId2"

_KEYS: Mapping[Dialect, _Keys] = {
    Dialect.BOTOCORE: _Keys(
        "Version ClientId Type Service Api Timestamp AttemptCount Region UserAgent FinalHttpStatusCode "
        f"{_FINAL} Latency MaxRetriesExceeded",
        "Version ClientId Type Service Api Timestamp AttemptLatency Fqdn UserAgent AccessKey Region SessionToken "
        f"HttpStatusCode {_IDS} {_ERRORS}",
    ),
    Dialect.CPP: _Keys(
        "Type Service Api ClientId Timestamp Version UserAgent AttemptCount Latency MaxRetriesExceeded Region "
        f"{_FINAL} FinalHttpStatusCode",
        "Type Service Api ClientId Timestamp Version UserAgent Fqdn AttemptLatency SessionToken Region AccessKey "
        f"{_IDS} {_ERRORS} HttpStatusCode ConnectLatency DnsLatency RequestLatency SslLatency",
    ),
    Dialect.DOTNET: _Keys(
        "Api Service ClientId Version Type Timestamp Latency AttemptCount MaxRetriesExceeded Region UserAgent "
        "FinalHttpStatusCode FinalAWSException FinalAWSExceptionMessage FinalSdkException FinalSdkExceptionMessage",
        "Api Service ClientId Version Type Timestamp AttemptLatency Fqdn UserAgent AccessKey SessionToken Region "
        f"HttpStatusCode {_IDS} AWSException AWSExceptionMessage SdkException SdkExceptionMessage",
    ),
    Dialect.GO: _Keys(
        "ClientId Api Service Timestamp Type AttemptCount Latency UserAgent Region XAmznRequestId FinalHttpStatusCode "
        f"{_FINAL} MaxRetriesExceeded",
        "ClientId Api Service Timestamp Type Version UserAgent AttemptLatency Region AccessKey HttpStatusCode "
        f"XAmznRequestId {_ERRORS}",
    ),
    Dialect.JAVA: _Keys(
        "Api Service ClientId Timestamp Version Region UserAgent AttemptCount Latency ApiCallTimeout "
        f"MaxRetriesExceeded {_FINAL} FinalHttpStatusCode Type",
        f"Api Service ClientId Timestamp Version Region UserAgent Fqdn AccessKey SessionToken HttpStatusCode {_IDS} "
        f"{_ERRORS} AttemptLatency RequestLatency Type",
    ),
    Dialect.JS: _Keys(
        f"Type Api Version Service Region MaxRetriesExceeded UserAgent FinalHttpStatusCode {_FINAL} AttemptCount "
        "Timestamp Latency ClientId",
        f"Type Api Version Service Fqdn UserAgent HttpStatusCode AccessKey SessionToken {_IDS} {_ERRORS} Timestamp "
        "AttemptLatency Region ClientId",
    ),
    Dialect.PHP: _Keys(
        "Api ClientId Region Service Timestamp UserAgent Version Type AttemptCount MaxRetriesExceeded "
        f"{_FINAL} FinalHttpStatusCode Latency",
        "Api ClientId Region Service Timestamp UserAgent Version Fqdn Type AttemptLatency "
        f"{_ERRORS} DestinationIp DnsLatency HttpStatusCode SessionToken {_IDS} AccessKey",
    ),
    Dialect.RUBY: _Keys(
        "Type Service Api ClientId Timestamp Version AttemptCount Latency Region MaxRetriesExceeded UserAgent "
        f"FinalHttpStatusCode {_FINAL}",
        "Type Service Api ClientId Timestamp Version Fqdn Region UserAgent AccessKey SessionToken HttpStatusCode "
        f"{_IDS} {_ERRORS} AttemptLatency",
    ),
    Dialect.UNKNOWN: _Keys(
        "Service Type Api Timestamp Latency AttemptCount Region UserAgent FinalHttpStatusCode",
        "Service Type Api Timestamp AttemptLatency Region UserAgent HttpStatusCode",
    ),
}


def call(dialect: Dialect = Dialect.BOTOCORE, /, **changes: object) -> bytes:
    """Return an ApiCall datagram: one attempt, 200, 30 ms from `BASE_MS`, unless changed by ``changes``."""
    return encode(dialect, call_fields(dialect, **changes))


def attempt(dialect: Dialect = Dialect.BOTOCORE, /, **changes: object) -> bytes:
    """Return an ApiCallAttempt datagram: 200, 25 ms from 2 ms after `BASE_MS`, unless changed by ``changes``."""
    return encode(dialect, attempt_fields(dialect, **changes))


def call_fields(dialect: Dialect = Dialect.BOTOCORE, /, **changes: object) -> dict[str, object]:
    """Return the fields that `call` encodes."""
    defaults: dict[str, object] = {
        "Type": "ApiCall",
        "AttemptCount": 1,
        "Latency": 30,
        "MaxRetriesExceeded": 0,
        "FinalHttpStatusCode": 200,
        **_common(dialect, end_ms=BASE_MS + 30, start_ms=BASE_MS),
    }
    if dialect is Dialect.PHP:
        defaults["UserAgent"] = PHP_CALL_AGENT
    if dialect is Dialect.JAVA:
        defaults["ApiCallTimeout"] = 0
    if dialect is Dialect.GO:
        del defaults["Version"]
    return _in_order(_KEYS[dialect].call, defaults | changes)


def attempt_fields(dialect: Dialect = Dialect.BOTOCORE, /, **changes: object) -> dict[str, object]:
    """Return the fields that `attempt` encodes."""
    defaults: dict[str, object] = {
        "Type": "ApiCallAttempt",
        "AttemptLatency": 25,
        "AccessKey": "AKIDEXAMPLE",
        "HttpStatusCode": 200,
        **_common(dialect, end_ms=BASE_MS + 27, start_ms=BASE_MS + 2),
    }
    if dialect is not Dialect.GO:
        defaults["Fqdn"] = "s3.us-east-1.amazonaws.com"
    return _in_order(_KEYS[dialect].attempt, defaults | changes)


def encode(dialect: Dialect, fields: Mapping[str, object]) -> bytes:
    """Return the fields as this SDK's JSON: botocore and PHP escape what is not ASCII, PHP slashes too."""
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=dialect in {Dialect.BOTOCORE, Dialect.PHP})
    if dialect is Dialect.PHP:
        text = text.replace("/", "\\/")
    return text.encode("utf-8", "surrogatepass")


def _common(dialect: Dialect, *, start_ms: int, end_ms: int) -> dict[str, object]:
    return {
        "Version": 1,
        "ClientId": "",
        "Service": "S3",
        "Api": "GetObject",
        "Timestamp": end_ms if dialect is Dialect.GO else start_ms,
        "Region": "us-east-1",
        "UserAgent": AGENTS[dialect],
    }


def _in_order(keys: str, fields: Mapping[str, object]) -> dict[str, object]:
    present = {key: value for key, value in fields.items() if value is not ABSENT}
    order = [*(key for key in keys.split() if key in present), *(key for key in present if key not in keys.split())]
    return {key: present[key] for key in order}
