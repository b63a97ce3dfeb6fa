"""The SDK family of an event, by user agent and by key order."""

from __future__ import annotations

import pytest
from datagrams import ABSENT, AGENTS, attempt_fields, call_fields

from csm_otel.csm.dialects import application_of_user_agent, dialect_of_keys, dialect_of_user_agent, sdk_of_user_agent
from csm_otel.csm.events import Dialect

KNOWN = sorted(set(Dialect) - {Dialect.UNKNOWN})


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        *(pytest.param(AGENTS[dialect], dialect, id=dialect) for dialect in KNOWN),
        pytest.param("aws-cli/2.7.14 Python/3.9.11 Linux/5.10 exe/x86_64.amzn.2", Dialect.BOTOCORE, id="aws-cli"),
        pytest.param("aws-cli/1.46.3 md/Botocore#1.43.62 ua/2.1", Dialect.BOTOCORE, id="aws-cli-1"),
        pytest.param("aiobotocore/3.10.0 md/Botocore#1.44.5", Dialect.BOTOCORE, id="aiobotocore"),
        pytest.param("Botocore/1.12.80 Python/2.7", Dialect.BOTOCORE, id="botocore-alone"),
        pytest.param("mine/1.0 Boto3/1.9.253", Dialect.BOTOCORE, id="user-agent-extra-in-front"),
        pytest.param("APN/1.0 HashiCorp/1.0 Terraform/1.3 aws-sdk-go/1.44.1 (go1.19)", Dialect.GO, id="terraform"),
        pytest.param("aws-sdk-ruby2/2.11.0", Dialect.RUBY, id="ruby-2"),
        pytest.param(" GuzzleHttp/7", None, id="php-call"),
        pytest.param("curl/8.0", None, id="somebody-else"),
        pytest.param("", None, id="empty"),
    ],
)
def test_by_user_agent(user_agent: str, expected: Dialect | None) -> None:
    """The product in a user agent identifies the family."""
    assert expected == dialect_of_user_agent(user_agent)


@pytest.mark.parametrize("dialect", KNOWN)
def test_by_key_order(dialect: Dialect) -> None:
    """Each SDK writes its keys in its own order, in calls and in attempts."""
    orders = [list(call_fields(dialect)), list(attempt_fields(dialect))]

    assert [dialect, dialect] == [dialect_of_keys(keys[:7]) for keys in orders]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        pytest.param(list(call_fields(Dialect.DOTNET, ClientId=ABSENT)), Dialect.DOTNET, id="dotnet-without-client-id"),
        pytest.param(list(call_fields(Dialect.JAVA, Timestamp=ABSENT)), Dialect.JAVA, id="java-without-timestamp"),
        pytest.param(list(attempt_fields(Dialect.RUBY, Fqdn=None)), Dialect.RUBY, id="ruby-nulls"),
        pytest.param(tuple(call_fields(Dialect.CPP)), Dialect.CPP, id="cpp-in-a-tuple"),
        pytest.param(["Service", "Type"], None, id="unknown"),
        pytest.param(["Version"], None, id="one-key"),
        pytest.param([], None, id="none"),
    ],
)
def test_by_unusual_key_order(keys: list[str], expected: Dialect | None) -> None:
    """Keys that an SDK may omit do not change the result."""
    assert expected == dialect_of_keys(keys)


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        pytest.param("Boto3/1.28.1 md/Botocore#1.31 ua/2.0", "Boto3/1.28.1", id="boto3"),
        pytest.param("aws-cli/2.7.14 Python/3.9.11 Linux", "aws-cli/2.7.14", id="aws-cli"),
        pytest.param("aws-sdk-ruby3/3.211.0 ua/2.1", "aws-sdk-ruby3/3.211.0", id="ruby"),
        pytest.param("aws-sdk-dotnet-coreclr/3.7.1.0 x", "aws-sdk-dotnet-coreclr/3.7.1.0", id="dotnet"),
        pytest.param("APN/1.0 Terraform/1.3 aws-sdk-go/1.44.1 (go1.19)", "aws-sdk-go/1.44.1", id="terraform"),
        pytest.param("mine/1.0", None, id="none"),
    ],
)
def test_sdk_of_user_agent(user_agent: str, expected: str | None) -> None:
    """The SDK's own product token is returned, with its version."""
    assert expected == sdk_of_user_agent(user_agent)


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        pytest.param("Boto3/1.44 app/billing cfg/retry-mode#standard", "billing", id="in-the-middle"),
        pytest.param("Boto3/1.44 app/billing", "billing", id="at-the-end"),
        pytest.param("myapp/1.0 Boto3/1.44", None, id="another-product"),
        pytest.param("Boto3/1.44", None, id="none"),
    ],
)
def test_application_of_user_agent(user_agent: str, expected: str | None) -> None:
    """The application id is the text after ``app/``."""
    assert expected == application_of_user_agent(user_agent)
