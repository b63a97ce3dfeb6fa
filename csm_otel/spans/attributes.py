"""The attributes of call and attempt spans.

Names come from the semantic conventions package; ``csm.`` ones are our own. docs/spans.md lists them.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from opentelemetry.semconv._incubating.attributes.aws_attributes import (
    AWS_EXTENDED_REQUEST_ID,
    AWS_REQUEST_ID,
    AWS_S3_BUCKET,
)
from opentelemetry.semconv._incubating.attributes.cloud_attributes import CLOUD_ACCOUNT_ID, CLOUD_REGION
from opentelemetry.semconv._incubating.attributes.peer_attributes import PEER_SERVICE
from opentelemetry.semconv._incubating.attributes.rpc_attributes import (
    RPC_METHOD,
    RPC_SERVICE,
    RPC_SYSTEM,
    RPC_SYSTEM_NAME,
)
from opentelemetry.semconv.attributes.db_attributes import DB_OPERATION_NAME, DB_SYSTEM_NAME
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import HTTP_REQUEST_RESEND_COUNT, HTTP_RESPONSE_STATUS_CODE
from opentelemetry.semconv.attributes.network_attributes import NETWORK_PEER_ADDRESS
from opentelemetry.semconv.attributes.user_agent_attributes import USER_AGENT_ORIGINAL

from csm_otel.csm.dialects import sdk_of_user_agent
from csm_otel.spans.data import AttributeValue
from csm_otel.spans.host import bucket_of, server_attributes
from csm_otel.spans.options import MappingOptions, RpcConventions

if TYPE_CHECKING:
    from csm_otel.correlation.released import CorrelatedCall
    from csm_otel.csm.events import ApiCallAttempt, Event
    from csm_otel.spans.span_status import Result

Values = dict[str, AttributeValue | None]
"""Attributes, among them absent ones: None or empty."""

CSM_ATTEMPT_COUNT = "csm.attempt_count"
CSM_ATTEMPT_NUMBER = "csm.attempt.number"
CSM_ATTEMPTS_MISSING = "csm.attempts_missing"
CSM_CLIENT_ID = "csm.client_id"
CSM_CONNECTION_REUSED = "csm.connection.reused"
CSM_CORRELATION = "csm.correlation"
CSM_MAX_RETRIES_EXCEEDED = "csm.max_retries_exceeded"
CSM_NOT_COUNTED = "csm.not_counted"
CSM_NOT_SENT = "csm.not_sent"
CSM_ORPHAN = "csm.orphan"
CSM_OUTCOME = "csm.outcome"
CSM_OVERRUN_MS = "csm.overrun_ms"
CSM_PROCESS_END = "csm.process.end"
CSM_SDK = "csm.sdk"
CSM_SYNTHETIC = "csm.synthetic"
CSM_TIME_ADJUSTED = "csm.time.adjusted"
CSM_TIMED_OUT = "csm.timed_out"

_AWS_API = "aws-api"
_DYNAMODB = "DynamoDB"
_S3 = "S3"


def present(values: Values) -> dict[str, AttributeValue]:
    """Return the attributes that are not absent."""
    return {name: value for name, value in values.items() if value not in {None, ""}}


def rpc_attributes(event: Event, options: MappingOptions) -> Values:
    """Return the ``rpc.*`` attributes, by default under their new and old names: many back ends use the old ones."""
    qualified = f"{event.service}/{event.api}"
    match options.rpc_conventions:
        case RpcConventions.NEW:
            return {RPC_SYSTEM_NAME: _AWS_API, RPC_METHOD: qualified}
        case RpcConventions.NEW_AND_OLD:
            method = qualified
        case _:
            method = event.api
    return {RPC_SYSTEM: _AWS_API, RPC_SYSTEM_NAME: _AWS_API, RPC_SERVICE: event.service, RPC_METHOD: method}


def call_attributes(
    released: CorrelatedCall, last: ApiCallAttempt | None, result: Result, client_name: str, options: MappingOptions
) -> Values:
    """Return the attributes of a call span; ``last`` is the call's last attempt where that is certain."""
    call = released.call.event
    status = call.status if call.status is not None or last is None else last.status
    return {
        **rpc_attributes(call, options),
        **(_attempt_facts(last, options) if last else {AWS_REQUEST_ID: call.request_id}),
        CLOUD_REGION: call.region or (last.region if last else None),
        HTTP_RESPONSE_STATUS_CODE: status,
        ERROR_TYPE: result.error_type,
        CSM_ATTEMPT_COUNT: call.attempt_count,
        CSM_MAX_RETRIES_EXCEEDED: call.max_retries_exceeded,
        CSM_TIMED_OUT: call.timed_out or None,
        CSM_ATTEMPTS_MISSING: released.missing or None,
        CSM_CORRELATION: "ambiguous" if released.ambiguous else None,
        CSM_OUTCOME: "not_sent" if _is_not_sent(released) else None,
        CSM_CLIENT_ID: client_name,
        **_sender(call, last, options),
        **_service_specific(call, last),
    }


def attempt_attributes(attempt: ApiCallAttempt, result: Result, number: int | None, options: MappingOptions) -> Values:
    """Return the attributes of an attempt span; ``number`` counts from 1, None if the order is uncertain.

    No ``rpc.*``, ``db.*`` or ``peer.service``: they would count as a second AWS call in service graphs.
    """
    latencies = attempt.latencies
    return {
        **_attempt_facts(attempt, options),
        CLOUD_REGION: attempt.region,
        HTTP_RESPONSE_STATUS_CODE: attempt.status,
        ERROR_TYPE: result.error_type,
        CSM_ATTEMPT_NUMBER: number,
        HTTP_REQUEST_RESEND_COUNT: number - 1 if number is not None and number > 1 else None,
        NETWORK_PEER_ADDRESS: _ip(attempt.destination_ip),
        CSM_CONNECTION_REUSED: attempt.connection_reused,
        CSM_NOT_SENT: attempt.not_sent or None,
        **{
            f"csm.latency.{name}": getattr(latencies, name)
            for name in (latencies.__struct_fields__ if latencies is not None else ())
        },
    }


def orphan_attributes(attempt: ApiCallAttempt, client_name: str, options: MappingOptions) -> Values:
    """Return the attributes that an orphan has in place of its call."""
    return {
        **rpc_attributes(attempt, options),
        CSM_ORPHAN: True,
        CSM_CLIENT_ID: client_name,
        **_sender(attempt, attempt, options),
        **_service_specific(attempt, attempt),
    }


def _is_not_sent(released: CorrelatedCall) -> bool:
    """Whether no request was sent: credentials were missing, or the call was stubbed; the datagrams are the same."""
    call = released.call.event
    return call.attempt_count == 0 and not call.has_result and not released.attempts


def _attempt_facts(attempt: ApiCallAttempt, options: MappingOptions) -> Values:
    return {
        CLOUD_ACCOUNT_ID: attempt.account_id if options.account_id else None,
        **server_attributes(attempt.fqdn),
        AWS_REQUEST_ID: attempt.request_id,
        AWS_EXTENDED_REQUEST_ID: attempt.extended_request_id,
    }


def _sender(event: Event, last: ApiCallAttempt | None, options: MappingOptions) -> Values:
    agents = [agent for agent in (event.user_agent, last.user_agent if last else None) if agent]
    return {
        CSM_SDK: next((sdk for agent in agents if (sdk := sdk_of_user_agent(agent))), None),
        USER_AGENT_ORIGINAL: agents[0] if agents and options.user_agent else None,
        PEER_SERVICE: event.service if options.peer_service else None,
    }


def _service_specific(event: Event, last: ApiCallAttempt | None) -> Values:
    if event.service == _DYNAMODB:
        return {DB_SYSTEM_NAME: "aws.dynamodb", DB_OPERATION_NAME: event.api}
    if event.service == _S3 and last is not None:
        return {AWS_S3_BUCKET: bucket_of(last.fqdn)}
    return {}


def _ip(text: str | None) -> str | None:
    if not text:
        return None
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
