"""The choices of the mapping: their values, which are those of settings, and what they are by default."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from csm_otel.spans.options import MappingOptions, MessageMode, RpcConventions, TraceGrouping


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        pytest.param(RpcConventions, ["", "rpc", "rpc/dup"], id="OTEL_SEMCONV_STABILITY_OPT_IN"),
        pytest.param(MessageMode, ["redacted", "none"], id="--messages"),
        pytest.param(TraceGrouping, ["call", "process"], id="--group"),
    ],
)
def test_values(choices: type[RpcConventions | MessageMode | TraceGrouping], expected: list[str]) -> None:
    """The values are what users write in flags and variables."""
    assert [choice.value for choice in choices] == expected


def test_defaults_reveal_little() -> None:
    """By default messages are redacted, and optional attributes are left out."""
    options = MappingOptions()

    assert (options.messages, options.rpc_conventions) == (MessageMode.REDACTED, RpcConventions.OLD_WITH_SYSTEM_NAME)
    assert options.account_id
    assert not (options.user_agent)
    assert not (options.peer_service)
    assert not (options.trust_remote_context)
    assert not (options.service_name)


@pytest.mark.parametrize("messages", MessageMode)
@pytest.mark.parametrize("conventions", RpcConventions)
def test_texts_become_enums(messages: MessageMode, conventions: RpcConventions) -> None:
    """A text gives the same options as the enum of that value, on creation and on replacement."""
    expected = MappingOptions(messages=messages, rpc_conventions=conventions)
    texts: dict[str, Any] = {"messages": messages.value, "rpc_conventions": conventions.value}

    for options in (MappingOptions(**texts), msgspec.structs.replace(MappingOptions(), **texts)):
        assert options == expected
        assert options.messages is messages
        assert options.rpc_conventions is conventions


@pytest.mark.parametrize("field", ["messages", "rpc_conventions"])
def test_unknown_texts(field: str) -> None:
    """A text that is no choice is rejected, rather than ignored."""
    texts: dict[str, Any] = {field: "all"}
    with pytest.raises(ValueError, match="all"):
        MappingOptions(**texts)
