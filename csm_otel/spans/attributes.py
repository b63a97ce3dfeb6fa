"""The attributes of call and attempt spans: those of their shapes, which follow from facts, and those of their own.

Facts are what spans of one kind have in common with many others; nothing else is known where the attributes of a shape
are computed, so that equal facts have equal attributes.

Names come from the semantic conventions package; ``csm.`` ones are our own. docs/spans.md lists them.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
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
from csm_otel.csm.events import Latencies, Origin
from csm_otel.spans.data import AttributeValue, Resource
from csm_otel.spans.host import bucket_of, server_attributes
from csm_otel.spans.options import MappingOptions, RpcConventions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csm_otel.correlation.released import CorrelatedCall
    from csm_otel.csm.events import ApiCall, ApiCallAttempt
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
_LATENCIES = [(f"csm.latency.{field}", field) for field in Latencies.__struct_fields__]
_S3 = "S3"


def present(values: Values) -> dict[str, AttributeValue]:
    """Return the attributes that are not absent."""
    return {name: value for name, value in values.items() if value not in {None, ""}}


class LastAttemptFacts(msgspec.Struct, frozen=True, gc=False):
    """What the last attempt of a call adds to the call's facts."""

    account_id: str | None
    fqdn: str | None
    region: str | None
    user_agent: str | None
    status: int | None


class CallFacts(msgspec.Struct, frozen=True, gc=False):
    """All that the shape of a call's span depends on, beside options."""

    service: str
    api: str
    client_name: str
    is_local: bool
    origin: Origin | None
    region: str | None
    user_agent: str | None
    status: int | None
    error_type: str
    attempt_count: int | None
    max_retries_exceeded: bool | None
    timed_out: bool | None
    missing: int
    ambiguous: bool
    not_sent: bool
    last: LastAttemptFacts
    """All None where it is not certain."""


_NO_ATTEMPT = LastAttemptFacts(None, None, None, None, None)


class AttemptFacts(msgspec.Struct, frozen=True, gc=False):
    """All that the shape of an attempt's span depends on, beside options."""

    service: str
    api: str
    account_id: str | None
    fqdn: str | None
    region: str | None
    status: int | None
    error_type: str
    number: int | None
    """From 1; None if the order is uncertain."""
    connection_reused: bool | None
    not_sent: bool
    not_counted: bool
    resource: Resource


class OrphanFacts(msgspec.Struct, frozen=True, gc=False):
    """All that the shape of an orphan's span depends on, beside options."""

    attempt: AttemptFacts
    client_name: str
    user_agent: str | None


def facts_of_last(attempt: ApiCallAttempt | None) -> LastAttemptFacts:
    """Return the facts of a call's last attempt, of none where it is not certain."""
    if attempt is None:
        return _NO_ATTEMPT
    return LastAttemptFacts(attempt.account_id, attempt.fqdn, attempt.region, attempt.user_agent, attempt.status)


def attempt_facts(
    attempt: ApiCallAttempt, result: Result, number: int | None, resource: Resource, *, not_counted: bool
) -> AttemptFacts:
    """Return the facts of an attempt; ``number`` counts from 1, None if the order is uncertain."""
    return AttemptFacts(
        attempt.service,
        attempt.api,
        attempt.account_id,
        attempt.fqdn,
        attempt.region,
        attempt.status,
        result.error_type,
        number,
        attempt.connection_reused,
        attempt.not_sent,
        not_counted,
        resource,
    )


def rpc_attributes(service: str, api: str, options: MappingOptions) -> Values:
    """Return the ``rpc.*`` attributes, by default under their new and old names: many back ends use the old ones."""
    qualified = f"{service}/{api}"
    match options.rpc_conventions:
        case RpcConventions.NEW:
            return {RPC_SYSTEM_NAME: _AWS_API, RPC_METHOD: qualified}
        case RpcConventions.NEW_AND_OLD:
            method = qualified
        case _:
            method = api
    return {RPC_SYSTEM: _AWS_API, RPC_SYSTEM_NAME: _AWS_API, RPC_SERVICE: service, RPC_METHOD: method}


def call_attributes(call: CallFacts, options: MappingOptions) -> dict[str, AttributeValue]:
    """Return the attributes of the shape of a call."""
    return present(
        {
            **rpc_attributes(call.service, call.api, options),
            **_account_and_server(call.last.account_id, call.last.fqdn, options),
            CLOUD_REGION: call.region or call.last.region,
            HTTP_RESPONSE_STATUS_CODE: call.last.status if call.status is None else call.status,
            ERROR_TYPE: call.error_type,
            CSM_ATTEMPT_COUNT: call.attempt_count,
            CSM_MAX_RETRIES_EXCEEDED: call.max_retries_exceeded,
            CSM_TIMED_OUT: call.timed_out or None,
            CSM_ATTEMPTS_MISSING: call.missing or None,
            CSM_CORRELATION: "ambiguous" if call.ambiguous else None,
            CSM_OUTCOME: "not_sent" if call.not_sent else None,
            CSM_CLIENT_ID: call.client_name,
            **_sender(call.service, (call.user_agent, call.last.user_agent), options),
            **_service_specific(call.service, call.api, call.last.fqdn),
        }
    )


def attempt_attributes(attempt: AttemptFacts, options: MappingOptions) -> dict[str, AttributeValue]:
    """Return the attributes of the shape of an attempt.

    No ``rpc.*``, ``db.*`` or ``peer.service``: they would count as a second AWS call in service graphs.
    """
    number = attempt.number
    return present(
        {
            **_account_and_server(attempt.account_id, attempt.fqdn, options),
            CLOUD_REGION: attempt.region,
            HTTP_RESPONSE_STATUS_CODE: attempt.status,
            ERROR_TYPE: attempt.error_type,
            CSM_ATTEMPT_NUMBER: number,
            HTTP_REQUEST_RESEND_COUNT: number - 1 if number is not None and number > 1 else None,
            CSM_CONNECTION_REUSED: attempt.connection_reused,
            CSM_NOT_SENT: attempt.not_sent or None,
            CSM_NOT_COUNTED: attempt.not_counted or None,
        }
    )


def orphan_attributes(orphan: OrphanFacts, options: MappingOptions) -> dict[str, AttributeValue]:
    """Return the attributes of the shape of an orphan: an attempt's, and those that it has in place of its call."""
    service, api = orphan.attempt.service, orphan.attempt.api
    return present(
        {
            **attempt_attributes(orphan.attempt, options),
            **rpc_attributes(service, api, options),
            CSM_ORPHAN: True,
            CSM_CLIENT_ID: orphan.client_name,
            **_sender(service, (orphan.user_agent,), options),
            **_service_specific(service, api, orphan.attempt.fqdn),
        }
    )


def own_of_call(call: ApiCall, last: ApiCallAttempt | None) -> dict[str, AttributeValue]:
    """Return the attributes of a call that no other has: its request ids, or those of its last attempt, if certain."""
    if last is not None:
        return _request_ids(last)
    return {AWS_REQUEST_ID: call.request_id} if call.request_id else {}


def own_of_attempt(attempt: ApiCallAttempt) -> dict[str, AttributeValue]:
    """Return the attributes of an attempt that no other has, or few have."""
    own = _request_ids(attempt)
    if attempt.destination_ip:
        address = _ip(attempt.destination_ip)
        if address is not None:
            own[NETWORK_PEER_ADDRESS] = address
    if attempt.latencies is not None:
        for name, field in _LATENCIES:
            latency_ms = getattr(attempt.latencies, field)
            if latency_ms is not None:
                own[name] = latency_ms
    return own


def is_not_sent(released: CorrelatedCall) -> bool:
    """Whether no request was sent: credentials were missing, or the call was stubbed; the datagrams are the same."""
    call = released.call.event
    return call.attempt_count == 0 and not call.has_result and not released.attempts


def _request_ids(attempt: ApiCallAttempt) -> dict[str, AttributeValue]:
    own: dict[str, AttributeValue] = {}
    if attempt.request_id:
        own[AWS_REQUEST_ID] = attempt.request_id
    if attempt.extended_request_id:
        own[AWS_EXTENDED_REQUEST_ID] = attempt.extended_request_id
    return own


def _account_and_server(account_id: str | None, fqdn: str | None, options: MappingOptions) -> Values:
    return {CLOUD_ACCOUNT_ID: account_id if options.account_id else None, **server_attributes(fqdn)}


def _sender(service: str, user_agents: Sequence[str | None], options: MappingOptions) -> Values:
    agents = [agent for agent in user_agents if agent]
    return {
        CSM_SDK: next((sdk for agent in agents if (sdk := sdk_of_user_agent(agent))), None),
        USER_AGENT_ORIGINAL: agents[0] if agents and options.user_agent else None,
        PEER_SERVICE: service if options.peer_service else None,
    }


def _service_specific(service: str, api: str, fqdn: str | None) -> Values:
    if service == _DYNAMODB:
        return {DB_SYSTEM_NAME: "aws.dynamodb", DB_OPERATION_NAME: api}
    return {AWS_S3_BUCKET: bucket_of(fqdn)} if service == _S3 else {}


@lru_cache(maxsize=1024)
def _ip(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
