"""What the mapping may be told to do otherwise."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class RpcConventions(StrEnum):
    """Which names RPC attributes have; the values are those of ``OTEL_SEMCONV_STABILITY_OPT_IN``."""

    OLD_WITH_SYSTEM_NAME = ""
    NEW = "rpc"
    NEW_AND_OLD = "rpc/dup"


class MessageMode(StrEnum):
    """What becomes of exception messages. There is no mode that lets secrets through."""

    REDACTED = "redacted"
    NONE = "none"


class TraceGrouping(StrEnum):
    """What makes one trace, for calls that neither carry a trace context nor belong to a command of ours."""

    CALL = "call"
    PROCESS = "process"


class MappingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Choices about attributes and traces."""

    rpc_conventions: RpcConventions = RpcConventions.OLD_WITH_SYSTEM_NAME
    messages: MessageMode = MessageMode.REDACTED
    account_id: bool = True
    """Whether ``cloud.account.id`` is exported."""
    user_agent: bool = False
    """Whether ``user_agent.original`` is exported."""
    peer_service: bool = False
    """Whether calls carry ``peer.service``, which makes each AWS service a node in service maps."""
    trust_remote_context: bool = False
    """Whether a trace context in the client id of another host's sender is joined: anybody could join any trace."""
    service_name: str = ""
    """The name of applications that tell none themselves (``OTEL_SERVICE_NAME``)."""
