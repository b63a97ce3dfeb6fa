"""Event in, a datagram of it out, in the keys of the wire: `encode_event`.

It is made of what decoding leaves, so it has no access key and no session token, and its texts are redacted. Decoded
again it is the same event, but for its size and its account, which comes from the access key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from csm_otel.csm.dialects import FIRST_KEYS
from csm_otel.csm.events import ApiCall, Latencies

if TYPE_CHECKING:
    from csm_otel.csm.events import ApiCallAttempt, Event, Failure

_FORWARDED_BY = "csm-otel"
_NO_LATENCIES = Latencies()

_encoder = msgspec.json.Encoder()


def encode_event(event: Event, *, messages: bool = True) -> bytes:
    """Return an event as one JSON object without a line break, marked as forwarded.

    ``messages``: with error messages.
    """
    fields: dict[str, object] = {
        "Version": 1,
        "ClientId": event.client_id,
        "Type": type(event).__name__,
        "Service": event.service,
        "Api": event.api,
        "Timestamp": event.timestamp_ms,
        "Region": event.region,
        **(_of_call(event) if isinstance(event, ApiCall) else _of_attempt(event)),
        "ForwardedBy": _FORWARDED_BY,
        "UserAgent": event.user_agent,  # not before another key, see `FIRST_KEYS`
    }
    if not messages:
        fields = {key: value for key, value in fields.items() if not key.endswith("Message")}
    first = {key: fields[key] for key in FIRST_KEYS[event.dialect]}
    if not isinstance(event, ApiCall) and event.not_sent:
        first["Timestamp"] = None
    present = {key: _on_the_wire(value) for key, value in fields.items() if value is not None}
    return _encoder.encode(first | present)


def _of_call(call: ApiCall) -> dict[str, object]:
    return {
        "Latency": call.latency_ms,
        "AttemptCount": call.attempt_count,
        "MaxRetriesExceeded": call.max_retries_exceeded,
        "ApiCallTimeout": call.timed_out,
        "FinalHttpStatusCode": call.status,
        **_failure("FinalAwsException", call.aws_exception),
        **_failure("FinalSdkException", call.sdk_exception),
        "XAmznRequestId": call.request_id,
    }


def _of_attempt(attempt: ApiCallAttempt) -> dict[str, object]:
    latencies = attempt.latencies or _NO_LATENCIES
    return {
        "AttemptLatency": attempt.latency_ms,
        "Fqdn": attempt.fqdn,
        "HttpStatusCode": attempt.status,
        # S3 has its own name for it, and a second id.
        "XAmzRequestId" if attempt.extended_request_id else "XAmznRequestId": attempt.request_id,
        "XAmzId2": attempt.extended_request_id,
        **_failure("AwsException", attempt.aws_exception),
        **_failure("SdkException", attempt.sdk_exception),
        "DestinationIp": attempt.destination_ip,
        "ConnectionReused": attempt.connection_reused,
        "AcquireConnectionLatency": latencies.acquire_connection_ms,
        "ConnectLatency": latencies.connect_ms,
        "RequestLatency": latencies.request_ms,
        "DnsLatency": latencies.dns_ms,
        "TcpLatency": latencies.tcp_ms,
        "SslLatency": latencies.tls_ms,
    }


def _failure(key: str, failure: Failure | None) -> dict[str, object]:
    return {} if failure is None else {key: failure.name, f"{key}Message": failure.message}


def _on_the_wire(value: object) -> object:
    return int(value) if isinstance(value, bool) else value  # no SDK sends true or false
