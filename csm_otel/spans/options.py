"""The choices of the mapping: `MappingOptions`."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class RpcConventions(StrEnum):
    """The names of RPC attributes; the values are those of ``OTEL_SEMCONV_STABILITY_OPT_IN``."""

    OLD_WITH_SYSTEM_NAME = ""
    NEW = "rpc"
    NEW_AND_OLD = "rpc/dup"


class MessageMode(StrEnum):
    """How exception messages are exported; never with secrets."""

    REDACTED = "redacted"
    NONE = "none"


class TraceGrouping(StrEnum):
    """What makes a trace, of calls that carry no trace context and belong to no command of `exec`."""

    CALL = "call"
    PROCESS = "process"


class MappingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Choices about attributes and traces.

    Texts are accepted in place of the enums.

    Raises:
        ValueError: a text is not one of an enum's values.
    """

    rpc_conventions: RpcConventions = RpcConventions.OLD_WITH_SYSTEM_NAME
    messages: MessageMode = MessageMode.REDACTED
    account_id: bool = True
    """Whether ``cloud.account.id`` is exported."""
    user_agent: bool = False
    """Whether ``user_agent.original`` is exported."""
    peer_service: bool = False
    """Whether calls carry ``peer.service``, which makes each AWS service a node in service maps."""
    trust_remote_context: bool = False
    """Whether a trace context in the client id is joined when the sender is on another host, and not authenticated."""
    service_name: str = ""
    """The name of applications that send none (``OTEL_SERVICE_NAME``)."""
    xray_trace_ids: bool = False
    """Whether new trace ids begin with their time, as AWS X-Ray wants them."""

    def __post_init__(self) -> None:
        """Make enums of texts, which the mapping compares by identity."""
        msgspec.structs.force_setattr(self, "rpc_conventions", RpcConventions(self.rpc_conventions))
        msgspec.structs.force_setattr(self, "messages", MessageMode(self.messages))
