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

    from csm_otel.csm.events import ApiCallAttempt
    from csm_otel.spans.data import Attributes
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


class AttemptFacts(msgspec.Struct, frozen=True, gc=False):
    """All that the shape of an attempt's span depends on, beside its operation, its resource and options.

    It is also all that the last attempt adds to the facts of its call.
    """

    account_id: str | None
    fqdn: str | None
    region: str | None
    user_agent: str | None
    status: int | None
    error_type: str
    connection_reused: bool | None
    not_sent: bool
    number: int | None = None
    """From 1; None if the order is uncertain."""
    not_counted: bool = False


_NO_ATTEMPT = AttemptFacts(None, None, None, None, None, "", None, not_sent=False)


class CallFacts(msgspec.Struct, frozen=True, gc=False):
    """All that the shape of a call's span, and that of its last attempt, depend on, beside options."""

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
    last: AttemptFacts | None
    """None where it is not certain."""


class OrphanFacts(msgspec.Struct, frozen=True, gc=False):
    """All that the shape of an orphan's span depends on, beside options."""

    service: str
    api: str
    client_name: str
    resource: Resource
    attempt: AttemptFacts


def attempt_facts(
    attempt: ApiCallAttempt, result: Result, number: int | None, *, not_counted: bool = False
) -> AttemptFacts:
    """Return the facts of an attempt; ``number`` counts from 1, None if the order is uncertain."""
    return AttemptFacts(
        attempt.account_id,
        attempt.fqdn,
        attempt.region,
        attempt.user_agent,
        attempt.status,
        result.error_type,
        attempt.connection_reused,
        attempt.not_sent,
        number,
        not_counted,
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
    last = call.last or _NO_ATTEMPT
    return present(
        {
            **rpc_attributes(call.service, call.api, options),
            **_account_and_server(last.account_id, last.fqdn, options),
            CLOUD_REGION: call.region or last.region,
            HTTP_RESPONSE_STATUS_CODE: last.status if call.status is None else call.status,
            ERROR_TYPE: call.error_type,
            CSM_ATTEMPT_COUNT: call.attempt_count,
            CSM_MAX_RETRIES_EXCEEDED: call.max_retries_exceeded,
            CSM_TIMED_OUT: call.timed_out or None,
            CSM_ATTEMPTS_MISSING: call.missing or None,
            CSM_CORRELATION: "ambiguous" if call.ambiguous else None,
            CSM_OUTCOME: "not_sent" if call.not_sent else None,
            CSM_CLIENT_ID: call.client_name,
            **_sender(call.service, (call.user_agent, last.user_agent), options),
            **_service_specific(call.service, call.api, last.fqdn),
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
    service, api = orphan.service, orphan.api
    return present(
        {
            **attempt_attributes(orphan.attempt, options),
            **rpc_attributes(service, api, options),
            CSM_ORPHAN: True,
            CSM_CLIENT_ID: orphan.client_name,
            **_sender(service, (orphan.attempt.user_agent,), options),
            **_service_specific(service, api, orphan.attempt.fqdn),
        }
    )


def request_ids(attempt: ApiCallAttempt) -> Attributes:
    """Return the request ids of an attempt, which its call has as well if it is certainly the last one."""
    if attempt.extended_request_id:
        ids: Values = {AWS_REQUEST_ID: attempt.request_id, AWS_EXTENDED_REQUEST_ID: attempt.extended_request_id}
        return present(ids)
    return {AWS_REQUEST_ID: attempt.request_id} if attempt.request_id else {}


def own_of_attempt(attempt: ApiCallAttempt, ids: Attributes) -> Attributes:
    """Return the attributes of an attempt that no other has, or few have: ``ids``, those of its request, and more."""
    if attempt.destination_ip is None and attempt.latencies is None:
        return ids
    own: Values = {**ids}
    if attempt.destination_ip:
        own[NETWORK_PEER_ADDRESS] = _ip(attempt.destination_ip)
    if attempt.latencies is not None:
        own |= {name: getattr(attempt.latencies, field) for name, field in _LATENCIES}
    return present(own)


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
